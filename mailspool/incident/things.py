"""What a page can be about, and where its messages and counts are: each condition has an index, or looks at a bounded
number of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import gettext_noop as _noop

from accounts.account_actions import user_named
from accounts.addresses import key_of
from accounts.models import User
from base.actions import registry
from security.addresses import parse_address
from spool.filters import BadFilter, SpoolFilter
from spool.filters.trace import of_user
from spool.models import Entry, Trace, TrafficKind

# So many of the newest messages are looked at, and of the recipients whose delivery has ended.
SAMPLE: Final = 2_000
# Where no index has what is asked for, so many of the newest rows are gone through.
WINDOW: Final = 20_000
KINDS: Final = {"user": _lazy("User"), "sender": _lazy("Address"), "ip": _lazy("IP address"), "domain": _lazy("Domain")}
LONGEST: Final = 320
# What is counted of each kind, by what it is called there (in English).
_COUNTS: Final[Mapping[str, Mapping[str, tuple[TrafficKind, ...]]]] = {
    "user": {
        _noop("Handed in"): (TrafficKind.HANDED_IN_USER,),
        _noop("Delivered"): (TrafficKind.OUTBOUND_SENDER, TrafficKind.INBOUND_SENDER),
        _noop("Deferred"): (TrafficKind.DEFERRED_USER,),
        _noop("Bounced"): (TrafficKind.BOUNCED_USER,),
    },
    "sender": {
        _noop("Handed in"): (TrafficKind.RECEIVED_SENDER,),
        _noop("Delivered"): (TrafficKind.OUTBOUND_SENDER, TrafficKind.INBOUND_SENDER),
        _noop("Deferred"): (TrafficKind.DEFERRED_SENDER,),
        _noop("Bounced"): (TrafficKind.BOUNCED_SENDER,),
    },
    "ip": {
        _noop("Handed in"): (TrafficKind.HANDED_IN_IP,),
        _noop("Delivered"): (TrafficKind.OUTBOUND_IP, TrafficKind.INBOUND_IP),
        _noop("Deferred"): (TrafficKind.DEFERRED_IP,),
        _noop("Bounced"): (TrafficKind.BOUNCED_IP,),
    },
    "domain": {
        _noop("Delivered from it"): (TrafficKind.INBOUND_DOMAIN,),
        _noop("Tried there"): (TrafficKind.ANSWERED_DOMAIN,),
        _noop("Refused or deferred there"): (TrafficKind.REFUSED_DOMAIN,),
    },
}


@dataclass(frozen=True)
class Thing:
    """One of them, whether or not there is an account or a row of it."""

    kind: str
    key: str

    @property
    def label(self) -> str:
        return str(KINDS[self.kind])

    @property
    def counts(self) -> Mapping[str, tuple[TrafficKind, ...]]:
        """The kinds of counts of it, by the name of what they add up to."""
        return _COUNTS[self.kind]

    @cached_property
    def user(self) -> User | None:
        """The account of it, or that an address belongs to."""
        target = user_named(self.key) if self.kind in ("user", "sender") else None
        found: User | None = target.rows[0] if target is not None else None
        return found

    @property
    def filters(self) -> list[SpoolFilter]:
        """What it has in the spool. Of a user: what was handed in with that login, whatever its sender."""
        match self.kind:
            case "user":
                return [SpoolFilter.parse({"auth-user": self.key})]
            case "sender":
                return [SpoolFilter.parse({"sender": self.key})]
            case "ip":
                return [SpoolFilter.parse({"ip": self.key})]
        return [SpoolFilter.parse({"sender-domain": self.key}), SpoolFilter.parse({"domain": self.key})]

    @property
    def spool_link(self) -> str:
        return f"{reverse('admin:spool_entry_changelist')}?{self.filters[0].to_query()}"

    @property
    def page(self) -> str:
        return page_of(self.kind, self.key)

    @property
    def menu(self) -> str:
        """Where its menu is fetched."""
        return f"{reverse('thing_menu', args=[self.kind])}?{urlencode({'key': self.key})}"

    def entries(self) -> list[QuerySet[Entry]]:
        """What it has in the spool: queries whose newest rows are quickly found."""
        chosen = self.filters[0]
        match self.kind:
            case "sender":
                return [Entry.objects.filter(branch) for branch in chosen.branches("sender")]
            case "domain":
                return [_lately(Entry.objects.filter(sender_domain=self.key)), *_to_domain(self.key)]
        return [chosen.apply(Entry.objects.all())]

    def traces(self) -> list[QuerySet[Trace]]:
        """The same of what has ended, the newest first."""
        match self.kind:
            case "user":
                return [_newest(of_user(self.key))]
            case "sender":
                return [_newest(Q(sender=self.key)), _newest(Q(sender_key=self.key))]
            case "ip":
                return [_newest(Q(client_ip=self.key))]
        newest = Trace.objects.order_by("-id").values_list("id", flat=True).first() or 0
        # By the order of the rows alone: along the one of time, all there are would be gone through.
        window = Trace.objects.filter(id__gt=newest - WINDOW).order_by("-id")
        end = f"@{self.key}"
        return [window.filter(sender__iendswith=end), window.filter(recipient__iendswith=end)]


def _newest(condition: Q) -> QuerySet[Trace]:
    return Trace.objects.filter(condition).order_by("-ended", "-id")


def page_of(kind: str, key: str) -> str:
    """The address of the page about a thing."""
    return reverse("incident", args=[kind, key])


def kind_of_key(key: str) -> str:
    """What a key looks like: an IP address, an address (of a user, if there is one), a domain."""
    if parse_address(key) is not None:
        return "ip"
    return "user" if "@" in key else "domain"


def thing_named(kind: str, key: str) -> Thing | None:
    """What a page's address names; None when there is no such thing."""
    if kind not in KINDS or not 0 < len(key) <= LONGEST:
        return None
    target = registry.thing(kind, key)
    if target is None:
        return None
    thing = Thing(kind, key_of(target.key) if kind == "sender" else target.key)
    try:
        return thing if thing.filters else None
    except BadFilter:
        return None


def _lately(entries: QuerySet[Entry]) -> QuerySet[Entry]:
    """Of a domain: all, where they are few, and those among the newest of the whole spool where they are not.

    No index has them in the order of their ids.
    """
    few = list(entries.order_by("sender", "id").values_list("id", flat=True)[: SAMPLE + 1])
    if len(few) <= SAMPLE:
        return entries
    newest = Entry.objects.order_by("-id").values_list("id", flat=True).first() or 0
    return entries.filter(id__gt=newest - WINDOW)


def _to_domain(domain: str) -> list[QuerySet[Entry]]:
    """What is for recipients in a domain."""
    meant = SpoolFilter(domain=domain).recipients().order_by("-entry_id").values("entry_id")[:SAMPLE]
    return [Entry.objects.filter(id__in=meant)]
