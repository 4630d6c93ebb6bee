"""Source addresses of ours: stored and removed, and how each of them is doing."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dns.reversename
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import changes
from accounts.actor import Actor
from base.numbers import grouped
from spool.delivery import sources
from spool.delivery.shaping import warm_up
from spool.flow import doorbell
from spool.models.destination import Destination
from spool.models.dns import BLOCK_LIST, DomainRecord, RecordState
from spool.models.source_address import SourceAddress, SourceDay


@dataclass(frozen=True, slots=True)
class SourceState:
    """How one is doing. `ptr` is what the last look at its reverse name found (empty: there was none), `refused_by` are
    the sites that get nothing from it, each with the end of that; `listed` says on which block lists it is, and
    `warm_up` how far that has come.
    """

    ptr: RecordState | str = ""
    ptr_says: str = ""
    refused_by: tuple[tuple[str, datetime], ...] = ()
    listed: tuple[str, ...] = ()
    warm_up: str = ""


def save(actor: Actor, row: SourceAddress) -> list[str]:
    """Store one that is new or changed; the names of what differed. Raises NotAllowed."""
    actor.require_administration()
    with transaction.atomic():
        changed = changes.save(actor, row)
        _tell()
    return changed


def remove(actor: Actor, row: SourceAddress) -> None:
    """Delete one: mail leaves from the others. Raises NotAllowed."""
    actor.require_administration()
    with transaction.atomic():
        changes.remove(actor, row)
        _tell()


def states_of(rows: Sequence[SourceAddress]) -> dict[str, SourceState]:
    """How those are doing, by address: four queries."""
    now = timezone.now()
    names = {dns.reversename.from_address(row.address).to_text(omit_final_dot=True): row.address for row in rows}
    looked = DomainRecord.objects.filter(purpose="PTR", name__in=list(names)).values_list("name", "state", "sentence")
    ptr = {names[name]: (RecordState(state), sentence) for name, state, sentence in looked}
    refused: dict[str, list[tuple[str, datetime]]] = {}
    suspended = Destination.objects.filter(source__in=[row.address for row in rows], suspended_until__gt=now)
    for source, site, until in suspended.order_by("site").values_list("source", "site", "suspended_until"):
        refused.setdefault(source, []).append((site, until or now))
    on_lists = DomainRecord.objects.filter(purpose=BLOCK_LIST, state=RecordState.WRONG).order_by("place")
    listed = list(on_lists.values_list("name", "sentence"))
    today = now.astimezone(UTC).date()
    days = SourceDay.objects.filter(day=today, source__in=[row.address for row in rows]).order_by("-sent", "site")
    most: dict[str, tuple[str, int]] = {}
    for source, site, sent in days.values_list("source", "site", "sent"):
        most.setdefault(source, (site.partition(" ")[0], sent))
    warm_ups = {row.address: _warm_up(row, today, most.get(row.address)) for row in rows}
    return {
        address: SourceState(
            *ptr.get(address, ("", "")),
            tuple(refused.get(address, ())),
            tuple(said for at, said in listed if at.startswith(f"{_asked_as(name)}.")),
            warm_ups[address],
        )
        for name, address in names.items()
    }


def address_named(text: str) -> str:
    """In the spelling of rows. Raises ValueError."""
    return str(ipaddress.ip_address(text.strip().strip("[]")))


def _warm_up(row: SourceAddress, today: date, most: tuple[str, int] | None) -> str:
    """ "day 3 of 14: 200 to each; most to Google: 180"; empty for an address that is not new."""
    allowed = row.allowed_on(today)
    if allowed is None or row.warm_up_since is None:
        return ""
    number = (today - row.warm_up_since).days + 1
    begun = (
        (_("day %(number)s of %(warm_up_days)s") % {"number": number, "warm_up_days": row.warm_up_days})
        if number > 0
        else (_("from %(warm_up_since)s on") % {"warm_up_since": f"{row.warm_up_since:%Y-%m-%d}"})
    )
    return (_("%(begun)s: %(allowed)s to each") % {"begun": begun, "allowed": grouped(allowed)}) + (
        (_("; most to %(most)s: %(most_2)s") % {"most": most[0], "most_2": grouped(most[1])})
        if most is not None
        else ""
    )


def _asked_as(reverse_name: str) -> str:
    """How a DNS list is asked for an address, without the name of the list."""
    return reverse_name.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def _tell() -> None:
    sources.forget()
    warm_up.forget()
    transaction.on_commit(doorbell.ring)
