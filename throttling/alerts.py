"""What alert rules can watch here: who is over a limit for long, and users whom the anomaly guard has caught."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Count, Min
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from spool.alerts.watches import MOST_SENDERS, Subject, Watch, span_of
from spool.models import AlertRule
from throttling import events
from throttling.models import GuardEvent
from throttling.subjects import DOMAIN_KINDS, USER_KINDS, SubjectKind


class ThrottledUsers(Watch):
    """Users, mailing lists and client IPs that have been over a limit for so long; the longest first."""

    kind, label, unit = "throttled-user", _lazy("A user, list or IP is over a limit"), _lazy("minutes")
    fix = _lazy("Release or raise limit")
    kinds: tuple[SubjectKind, ...] = USER_KINDS
    list_name = "users"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        known = list(open_keys)
        throttled = events.now_throttled(self.kinds).order_by().values_list("name").annotate(first=Min("since"))
        longest = dict(throttled.order_by("first")[:MOST_SENDERS])
        longest.update(throttled.filter(name__in=known))
        return {name: (now - since).total_seconds() / 60 for name, since in longest.items()}

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("%(key)s has been over a limit for %(value)s") % {"key": key, "value": span_of(value)}

    def page(self, key: str) -> str:
        # Not by reverse(): who tells of alerts has no console, nor its memory.
        return f"/admin/throttling/throttleevent/{self.list_name}/?{urlencode({'q': key})}"


class ThrottledDomains(ThrottledUsers):
    """The same for domains."""

    kind, label = "throttled-domain", _lazy("A domain is over a limit")
    kinds = DOMAIN_KINDS
    list_name = "domains"


class CaughtByGuard(Watch):
    """Users whom the anomaly guard has done something about, unless that was undone."""

    kind, label, unit = "guard", _lazy("The anomaly guard has caught a user"), _lazy("times")
    has_minutes, fix, dry_run = True, _lazy("Review"), False

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("The anomaly guard has caught %(key)s") % {"key": key}

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        caught = GuardEvent.objects.filter(
            dry_run=self.dry_run, undone=None, at__gt=now - timedelta(minutes=rule.minutes)
        )
        counted = caught.order_by().values_list("user").annotate(times=Count("pk")).order_by("-times", "user")
        return {user: float(times) for user, times in counted[:MOST_SENDERS]}

    def page(self, key: str) -> str:
        return "/admin/throttling/guardevent/"


class SuspectedByGuard(CaughtByGuard):
    """Users whom the anomaly guard would have stopped, were its policy no dry run."""

    kind, label = "guard-dry-run", _lazy("The anomaly guard suspects a user (dry run)")
    dry_run, subject, fix = True, Subject.USER, _lazy("Contain account")

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("%(key)s sends far more than usual; the anomaly guard only logs it (dry run)") % {"key": key}
