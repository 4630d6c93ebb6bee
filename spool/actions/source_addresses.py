"""Source addresses of ours: stored and removed, and how each of them is doing."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import dns.reversename
from django.db import transaction
from django.utils import timezone

from accounts import changes
from accounts.actor import Actor
from spool.delivery import sources
from spool.flow import doorbell
from spool.models.destination import Destination
from spool.models.dns import BLOCK_LIST, DomainRecord, RecordState
from spool.models.source_address import SourceAddress


@dataclass(frozen=True, slots=True)
class SourceState:
    """How one is doing. `ptr` is what the last look at its reverse name found (empty: there was none), `refused_by` are
    the sites that get nothing from it, each with the end of that; `listed` says on which block lists it is.
    """

    ptr: RecordState | str = ""
    ptr_says: str = ""
    refused_by: tuple[tuple[str, datetime], ...] = ()
    listed: tuple[str, ...] = ()


def save(actor: Actor, row: SourceAddress) -> list[str]:
    """Store one that is new or changed; the names of what differed."""
    with transaction.atomic():
        changed = changes.save(actor, row)
        _tell()
    return changed


def remove(actor: Actor, row: SourceAddress) -> None:
    """Delete one: mail leaves from the others."""
    with transaction.atomic():
        changes.remove(actor, row)
        _tell()


def states_of(rows: Sequence[SourceAddress]) -> dict[str, SourceState]:
    """How those are doing, by address: three queries."""
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
    return {
        address: SourceState(
            *ptr.get(address, ("", "")),
            tuple(refused.get(address, ())),
            tuple(said for at, said in listed if at.startswith(f"{_asked_as(name)}.")),
        )
        for name, address in names.items()
    }


def address_named(text: str) -> str:
    """In the spelling of rows. Raises ValueError."""
    return str(ipaddress.ip_address(text.strip().strip("[]")))


def _asked_as(reverse_name: str) -> str:
    """How a DNS list is asked for an address, without the name of the list."""
    return reverse_name.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def _tell() -> None:
    sources.forget()
    transaction.on_commit(doorbell.ring)
