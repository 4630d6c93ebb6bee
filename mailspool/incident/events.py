"""What happened around a thing: logins, alerts, limits, the guard, and what administrators did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Login
from base.audit.models import AuditEvent
from base.numbers import grouped
from mailspool.incident.things import Thing
from security.models import LoginBlock
from spool.alerts.response import sentence_of
from spool.models import AlertEvent
from throttling.countries import country_of
from throttling.models import GuardEvent, ThrottleEvent

SHOWN: Final = 40
_OF_EACH: Final = 20
_ALERTS_BACK: Final = timedelta(days=7)
# Logins from an IP address are looked for by day.
_LOGINS_BACK: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Event:
    """One of them; `by` says who did it, where somebody did."""

    at: datetime
    what: str
    words: str
    tone: str = "quiet"
    by: str = ""
    link: str = ""


def events(thing: Thing, now: datetime, *, audited: bool = True) -> list[Event]:
    """The newest, of every kind that there is of such a thing; what administrators did only where it is `audited`."""
    found = [*(_done(thing) if audited else ()), *_alerts(thing, now), *_limits(thing), *_logins(thing, now)]
    return sorted(found, key=lambda event: event.at, reverse=True)[:SHOWN]


def _done(thing: Thing) -> Iterator[Event]:
    about = Q(key=thing.key)
    if thing.user is not None:
        about |= Q(kind="user", row_id=thing.user.pk)
    for event in AuditEvent.objects.filter(about).order_by("-at", "-id")[:_OF_EACH]:
        yield Event(event.at, event.action, event.outcome, "active", event.actor)


def _alerts(thing: Thing, now: datetime) -> Iterator[Event]:
    lately = AlertEvent.objects.filter(key=thing.key, began__gte=now - _ALERTS_BACK, is_test=False)
    for event in lately.order_by("-began")[:_OF_EACH]:
        state = (_(", over %(ended)s") % {"ended": f"{event.ended:%H:%M}"}) if event.ended else ""
        link = reverse("attention_alert", args=[event.pk])
        yield Event(event.began, _("alert"), f"{sentence_of(event)}{state}", "bad", link=link)


def _limits(thing: Thing) -> Iterator[Event]:
    kind = "user" if thing.kind == "sender" else thing.kind
    for limit in ThrottleEvent.objects.filter(kind=kind, name=thing.key).order_by("-since")[:_OF_EACH]:
        words = _("%(metric)s: %(used)s of %(amount)s an hour") % {
            "metric": limit.get_metric_display(),
            "used": grouped(limit.used),
            "amount": grouped(limit.amount),
        }
        yield Event(limit.since, _("limit reached"), words, "waiting")
    if thing.user is not None:
        for caught in GuardEvent.objects.filter(user=thing.user.email).order_by("-at")[:_OF_EACH]:
            words = " ".join(caught.said)[:300]
            what = _("guard (dry run)") if caught.dry_run else _("guard")
            yield Event(caught.at, what, words, "bad", link=reverse("admin:throttling_guardevent_changelist"))


def _logins(thing: Thing, now: datetime) -> Iterator[Event]:
    logins = Login.objects.none()
    closed = LoginBlock.objects.none()
    if thing.user is not None:
        logins = Login.objects.filter(user=thing.user)
        closed = LoginBlock.objects.filter(account=thing.user.email)
    elif thing.kind == "ip":
        logins = Login.objects.filter(ip=thing.key, day__gte=(now - _LOGINS_BACK).date())
        closed = LoginBlock.objects.filter(ip=thing.key)
    for login in logins.select_related("user").order_by("-last")[:_OF_EACH]:
        whose = f"{login.user.email} " if thing.kind == "ip" else ""
        country = country_of(login.ip)
        words = ngettext(
            "from %(ip)s by %(protocol)s, %(number)s time that day",
            "from %(ip)s by %(protocol)s, %(number)s times that day",
            login.count,
        ) % {
            "ip": f"{login.ip} ({country})" if country else login.ip,
            "protocol": login.protocol,
            "number": grouped(login.count),
        }
        words = f"{whose}{words}{f': {login.agent}' if login.agent else ''}"
        yield Event(login.last, _("login"), words, "good")
    for block in closed.order_by("-until")[:_OF_EACH]:
        yield Event(
            block.since,
            _("login blocked"),
            (_("%(block)s: %(failures)s wrong passwords") % {"block": block, "failures": grouped(block.failures)}),
            "bad",
        )
