"""What a rule can watch. Other rooms, and a third party, add their own by dotted path (SPOOL_ALERT_WATCHES):

class SlowDisk(Watch):
    kind, label, unit = "slow-disk", "The disk is slow", "ms"
    def values(self, rule, now, open_keys): return {"": measured()}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from urllib.parse import urlencode

from django.conf import settings as django_settings
from django.db.models import Sum
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from base.languages import in_source
from base.numbers import decimal, grouped
from base.texts import Text
from spool.models import AlertKind, AlertRule, Entry, TrafficKind, TrafficSeries
from spool.rows import lease, traffic_figures
from spool.traffic.rollup import minute_of, window_start

# How a unit is called when there is one of it, by its English plural.
ONE: Mapping[str, Text] = {
    "messages": _lazy("message"),
    "minutes": _lazy("minute"),
    "files": _lazy("file"),
    "records": _lazy("record"),
    "sessions": _lazy("session"),
    "times": _lazy("time"),
    "days left": _lazy("day left"),
}
# Senders of one rule that are watched at once.
MOST_SENDERS = 100


class Subject(StrEnum):
    """What the key of a value is, where something can be done about it directly."""

    NONE = ""
    USER = "user"
    SENDER = "sender"
    IP = "ip"


class NotNow(Exception):
    """What a watch raises when it can't be told: its alerts stay as they are."""


class Watch:
    """One thing to watch: its name in the database, its words, and the unit of thresholds."""

    kind = ""
    label: Text = ""
    unit: Text = ""
    # What a value is about when its key is empty, and how far a threshold may go.
    about: Text = _lazy("the messages")
    most: int | None = None
    # Whether values are counted within the minutes of the rule.
    has_minutes = False
    # Whether an alert begins when the value falls to the threshold, rather than rises to it.
    is_below = False
    # What is done about it, in a verb or two: the label of the link to `page`, or of the first action on `subject`.
    fix: Text = _lazy("Show messages")
    subject = Subject.NONE
    # Further advice, for what no page of the console mends.
    advice: Text = ""

    def prepare(self) -> None:
        """Ask whoever may take long, before each look: the look itself is a transaction. Raises nothing."""

    def is_mine(self, key: str) -> bool:
        """Whether this process judges what that alert is about, and no other machine's."""
        return True

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        """The values that a rule looks at, by what they are about; "" where there is only one.

        Raises django.db.Error, and NotNow.
        """
        raise NotImplementedError

    def page(self, key: str) -> str:
        """Where the console shows it."""
        return "/admin/"

    def says(self, key: str) -> str:
        """What a value is about, in words."""
        return key or str(self.about)

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        """What goes on, in a sentence without its end. The rule may be gone."""
        threshold = (
            (_(" (threshold %(threshold)s)") % {"threshold": grouped(rule.threshold)}) if rule is not None else ""
        )
        return f"{self.label}: {self.says(key)}, {self.amount(value)}{threshold}"

    def amount(self, value: float) -> str:
        """ "1 minute", "2,000 messages"."""
        unit = ONE.get(in_source(lambda: self.unit), self.unit) if value == 1 else self.unit
        return f"{decimal(value, 0)} {unit}"

    def within(self, rule: AlertRule | None) -> str:
        """ " within 5 minutes"."""
        return (
            ""
            if rule is None
            else ngettext(" within %(minutes)s minute", " within %(minutes)s minutes", rule.minutes)
            % {"minutes": rule.minutes}
        )


class Senders(Watch):
    kind, label, unit = AlertKind.SENDER, _lazy("A sender hands in too many messages"), _lazy("messages")
    about, has_minutes = "<>", True
    subject, fix = Subject.SENDER, _lazy("Block or delete")

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("%(says)s handed in %(value)s messages%(within)s") % {
            "says": self.says(key),
            "value": decimal(value, 0),
            "within": self.within(rule),
        }

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        """Those at the threshold or above, and those of open alerts; the fastest first."""
        known = list(open_keys)
        since = window_start(minute_of(now), rule.minutes)
        least = max(1, int(min(rule.ends_at, rule.threshold)))
        rows = traffic_figures.fastest(TrafficKind.RECEIVED_SENDER.value, since, least, MOST_SENDERS)
        return {key: float(number) for key, number in rows if key in known or number >= rule.threshold}

    def page(self, key: str) -> str:
        return f"/admin/spool/entry/?{urlencode({'sender': key or '<>'})}"


class Depth(Watch):
    kind, label, unit = AlertKind.DEPTH, _lazy("Too many messages are in the spool"), _lazy("messages")

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("%(value)s messages are in the spool") % {"value": decimal(value, 0)}

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {"": float(Entry.objects.count())}

    def page(self, key: str) -> str:
        return "/admin/spool/entry/"


class Oldest(Watch):
    kind, label, unit = AlertKind.OLDEST, _lazy("A message has been in the spool for too long"), _lazy("minutes")

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("A message has been in the spool for %(value)s") % {"value": span_of(value)}

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        oldest = Entry.objects.order_by("id").values_list("created", flat=True).first()
        return {"": (now - oldest).total_seconds() / 60 if oldest else 0.0}

    def page(self, key: str) -> str:
        return "/admin/spool/entry/?sort=id"


class Untaken(Watch):
    """Due mail that no worker takes up. Notices and other mail of low priority may wait for their share."""

    kind, label, unit = AlertKind.UNTAKEN, _lazy("Due mail is not taken up"), _lazy("minutes")

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        waited = lease.overdue(now)
        return {room: waited[room] / 60 for room in ("local", "remote")}

    def says(self, key: str) -> str:
        return _("mail for this server") if key == "local" else _("mail for other servers")

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("%(capitalize)s has been due for %(value)s and no worker has taken it") % {
            "capitalize": self.says(key).capitalize(),
            "value": span_of(value),
        }

    def page(self, key: str) -> str:
        return "/admin/spool/entry/?sort=id"


class Bounces(Watch):
    kind, label, unit = AlertKind.BOUNCES, _lazy("Too many recipients bounce"), _lazy("percent")
    most, has_minutes, fix = 100, True, _lazy("Message trace")

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("%(value)s %% of the recipients bounced%(within)s") % {
            "value": decimal(value, 0),
            "within": self.within(rule),
        }

    def page(self, key: str) -> str:
        return "/admin/spool/trace/"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        since = window_start(minute_of(now), rule.minutes)
        sums = TrafficSeries.objects.filter(span=1, minute__gte=since).aggregate(
            bounced=Sum("bounced", default=0),
            local=Sum("delivered_local", default=0),
            remote=Sum("delivered_remote", default=0),
        )
        ended = sum(sums.values())
        return {"": 100.0 * sums["bounced"] / ended if ended and ended >= rule.at_least else 0.0}


class _Nothing(Watch):
    """What is left of a kind that the settings do not name any more: its alerts end."""

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {}


def span_of(minutes: float) -> str:
    """ "1 minute", "5 hours", "3 days": the largest unit of which there are two or more."""
    for name, length in (("day", 1440), ("hour", 60)):
        if minutes >= 2 * length:
            return f"{minutes / length:,.0f} {name}s"
    whole = max(1, round(minutes))
    return f"{whole} minute{'' if whole == 1 else 's'}"


@cache
def watches() -> Mapping[str, Watch]:
    """All there are, by their names."""
    found: list[Watch] = [import_string(path)() for path in django_settings.SPOOL_ALERT_WATCHES]
    return {watch.kind: watch for watch in found}


def watch_of(kind: str) -> Watch:
    """The one of that name."""
    return watches().get(kind) or _Nothing()
