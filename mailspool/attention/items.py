"""What is shown: the alerts that go on and are not muted, and a scheduler that finds no more of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import key_of
from accounts.models import User
from accounts.templatetags.reach import opens
from base.short_cache import ShortCache
from base.texts import Text
from mailspool.incident.things import kind_of_key, page_of
from spool.alerts.response import sentence_of
from spool.alerts.watches import Subject, watch_of
from spool.models import AlertEvent, TrafficState

# Beyond these the page of alerts has the rest.
MOST: Final = 50
# Of them so many are in sight, and the others behind a click.
IN_SIGHT: Final = 2
# A scheduler that has added nothing up for so long is dead, or hangs.
SILENT: Final = timedelta(seconds=60)
_KEPT_SECONDS: Final = 2.0
# For how long an alert can be muted: minutes, and words.
SPANS: Final[dict[str, Text]] = {
    "60": _lazy("1 hour"),
    "480": _lazy("8 hours"),
    "1440": _lazy("1 day"),
    "10080": _lazy("1 week"),
    "43200": _lazy("30 days"),
}
# The tables of the Overview whose menus are about a subject.
TABLES: Final = {
    Subject.USER: "handing-in-users",
    Subject.SENDER: "handing-in-senders",
    Subject.IP: "handing-in-ips",
}

FLOODS: Final = frozenset({"flood-user", "flood-sender", "flood-ip"})
CONTAIN: Final = _lazy("Contain account")
# Alerts whose key is somebody, although what is done about it has a page of its own.
ABOUT_SOMEBODY: Final = ("destination", "guard", "throttled-user", "throttled-domain")


@dataclass(frozen=True, slots=True)
class Item:
    """One of them. `pk` is its alert's, None when it is none; `fix` is a label and where it leads."""

    pk: int | None
    sentence: str
    link: str
    began: datetime
    fix: tuple[Text, str] | None = None
    acknowledged_by: str = ""
    # The page about what it is about, where there is one.
    incident: str = ""
    # Further alerts about the same, which are acknowledged and muted with it.
    others: tuple[int, ...] = ()

    @property
    def also(self) -> str:
        """How a form names the others."""
        return ",".join(map(str, self.others))


@dataclass(frozen=True, slots=True)
class Attention:
    """All of them: those that nobody has acknowledged come first, and are counted."""

    items: list[Item]
    count: int
    digest: str
    spans: ClassVar[dict[str, Text]] = SPANS

    @property
    def in_sight(self) -> list[Item]:
        return self.items[:IN_SIGHT]

    @property
    def others(self) -> list[Item]:
        return self.items[IN_SIGHT:]


def current() -> Attention:
    """As it was at most two seconds ago. Two queries."""
    return _kept.current()


def look_again() -> None:
    """Something was changed here."""
    _kept.forget()


def of_page(request: HttpRequest) -> dict[str, Any]:
    """For every page of the console (mailspool.page_frame): what is shown, and its number for the title."""
    if not opens(request, "attention"):
        return {}
    attention = current()
    return {"attention": attention, "environment_title_prefix": f"({attention.count})" if attention.count else ""}


def item_of(event: AlertEvent) -> Item:
    """How an alert is shown."""
    watch = watch_of(event.kind)
    page = reverse("attention_alert", args=[event.pk])
    if watch.subject is Subject.USER:
        fix = reverse("attention_contain", args=[event.pk])
    elif watch.subject is not Subject.NONE or watch.advice:
        fix = page
    else:
        fix = watch.page(event.key)
    return Item(
        event.pk, sentence_of(event), page, event.began, (watch.fix, fix), event.acknowledged_by, incident_of(event)
    )


def incident_of(event: AlertEvent) -> str:
    """The page about the user, address, IP address or domain that an alert is about; empty when it is about none."""
    watch = watch_of(event.kind)
    if not event.key or not (watch.subject or event.kind in ABOUT_SOMEBODY):
        return ""
    kind = watch.subject.value or kind_of_key(event.key)
    return page_of(kind, event.key)


def menu_of(event: AlertEvent) -> str:
    """Where the actions on what an alert is about are fetched; empty when there are none."""
    table = TABLES.get(watch_of(event.kind).subject)
    return f"{reverse('overview_menu', args=[table])}?{urlencode({'key': event.key})}" if table else ""


def _read() -> Attention:
    now = timezone.now()
    going_on = AlertEvent.objects.filter(Q(muted_until=None) | Q(muted_until__lte=now), ended=None, is_test=False)
    events = list(going_on.select_related("rule").order_by("-began", "-id")[:MOST])
    items = [*_of_scheduler(now), *_grouped(events)]
    shown = repr([(item.pk, item.sentence, item.acknowledged_by, item.others) for item in items])
    digest = hashlib.sha256(shown.encode()).hexdigest()[:16]
    return Attention(items, sum(not item.acknowledged_by for item in items), digest)


def _grouped(events: list[AlertEvent]) -> list[Item]:
    """A line for each that alerts are about: who floods comes first, and most who is farthest beyond the threshold.

    Several rules notice the same flood; what is said of it is what says most, and what is done about it is the
    strongest: where one of them is about a user, the account is contained.
    """
    events = sorted(events, key=_rank)
    groups: dict[tuple[bool, object], list[AlertEvent]] = {}
    for event in events:
        about = event.key if incident_of(event) else event.pk
        groups.setdefault((event.acknowledged is None, about), []).append(event)
    accounts = _accounts([group[0] for group in groups.values()])
    return [_line(group, accounts) for group in groups.values()]


def _rank(event: AlertEvent) -> tuple[bool, bool, float]:
    is_about_nobody = watch_of(event.kind).subject is Subject.NONE
    beyond = 0.0 if is_about_nobody else event.value / max(1, event.threshold)
    return (event.acknowledged is not None, is_about_nobody, -beyond)


def _accounts(events: list[AlertEvent]) -> set[str]:
    """Of the senders among what alerts are about, those that are users here."""
    senders = [key_of(event.key) for event in events if watch_of(event.kind).subject is Subject.SENDER and event.key]
    return set(User.objects.filter(email__in=senders).values_list("email", flat=True)) if senders else set()


def _line(group: list[AlertEvent], accounts: set[str]) -> Item:
    of_user = [event for event in group if watch_of(event.kind).subject is Subject.USER]
    # That somebody floods says more than what becomes of it.
    lead = min(of_user or group, key=lambda event: event.kind not in FLOODS)
    item = item_of(lead)
    if not of_user and lead.key and key_of(lead.key) in accounts:
        item = replace(item, fix=(CONTAIN, reverse("attention_contain", args=[lead.pk])))
    return replace(item, others=tuple(event.pk for event in group if event is not lead))


def _of_scheduler(now: datetime) -> list[Item]:
    """Whoever looks for alerts may be dead itself."""
    rolled = TrafficState.objects.values_list("rolled", flat=True).first()
    if rolled is None or now - rolled <= SILENT:
        return []
    sentence = _("The scheduler is not running: numbers stand still, and no alert is found")
    return [Item(None, sentence, reverse("admin:index"), rolled)]


_kept = ShortCache(_KEPT_SECONDS, _read)
