"""Keeping networks out, and letting them in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from security import lists
from security.actions.rows import parse, remove, save
from security.addresses import spell
from security.audit import require
from security.models import BlacklistEntry, Protocol, Source, WhitelistEntry
from spool.actions.actor import Actor
from spool.actions.verb import Refused


@transaction.atomic
def blacklist(
    actor: Actor,
    network: str,
    *,
    protocols: Iterable[str] = (Protocol.SMTP,),
    description: str = "",
    source: str = Source.MANUAL,
    expires_at: datetime | None = None,
) -> BlacklistEntry:
    """Keep a network out. One that is listed already gets the protocols in addition, and the later end.

    Refused when the whitelist lets all of it in: such an entry would look like protection and be none.
    """
    require(actor)
    wanted = {Protocol(protocol) for protocol in protocols}
    row = BlacklistEntry.objects.select_for_update().filter(network=_spelled(network)).first()
    if row is None or row.is_expired:
        row = row or BlacklistEntry(network=network)
        row.set_protocols(wanted)
        row.expires_at, row.source = expires_at, source
        row.spool_smtp = False
    else:
        row.spool_smtp = row.spool_smtp or (source == Source.SPOOL and not row.smtp and Protocol.SMTP in wanted)
        row.set_protocols(wanted | {*row.protocols})
        row.expires_at = max(row.expires_at, expires_at) if row.expires_at and expires_at else None
    row.description = description or row.description
    return save(actor, row)


@transaction.atomic
def unblacklist(actor: Actor, network: str, *, dry_run: bool = False) -> int:
    """Let a network in again; how many entries that took. Refused when it is only kept out as part of a larger one."""
    require(actor)
    wanted = parse(network)
    rows = BlacklistEntry.objects.filter(network=spell(wanted))
    removed = rows.count() if dry_run else remove(actor, rows)
    if not removed:
        entries = lists.newest().blacklist.values()
        around = next((found.network for networks in entries if (found := networks.covers(wanted))), "")
        if around:
            raise Refused(f"{network} is kept out as a part of {around}; take that off the blacklist.")
    return removed


@transaction.atomic
def unblacklist_from_spool(actor: Actor, network: str) -> None:
    """Take back what the spool's Blacklist IP did: SMTP alone, and nothing that somebody has listed in Security."""
    require(actor)
    row = BlacklistEntry.objects.select_for_update().filter(network=_spelled(network)).first()
    if row is None:
        # It is refused with the larger network, where that is the reason.
        unblacklist(actor, network)
        return
    if not row.smtp or not (row.spool_smtp or row.source == Source.SPOOL):
        raise Refused(f"{row} was blacklisted {_where(row)}, not from the spool: take it off the Blacklist there.")
    if row.protocols == [Protocol.SMTP]:
        remove(actor, BlacklistEntry.objects.filter(pk=row.pk))
        return
    row.set_protocols({*row.protocols} - {Protocol.SMTP})
    row.spool_smtp = False
    save(actor, row)


def _where(row: BlacklistEntry) -> str:
    if row.source == Source.LOGINS:
        return "for failed logins"
    return f"in Security by {row.created_by}" if row.created_by else "in Security"


@transaction.atomic
def whitelist(
    actor: Actor,
    network: str,
    *,
    protocols: Iterable[str] | None = None,
    description: str = "",
    auth_bypass: bool | None = None,
    spam_bypass: bool | None = None,
    login_bypass: bool | None = None,
) -> WhitelistEntry:
    """Let a network in whatever the blacklist says; a new one by all protocols. None leaves a thing as it is."""
    require(actor)
    row = WhitelistEntry.objects.select_for_update().filter(network=_spelled(network)).first()
    row = row or WhitelistEntry(network=network, smtp=True, web=True)
    if protocols is not None:
        row.set_protocols({Protocol(protocol) for protocol in protocols})
    for flag, given in (("auth_bypass", auth_bypass), ("spam_bypass", spam_bypass), ("login_bypass", login_bypass)):
        if given is not None:
            setattr(row, flag, given)
    row.description = description or row.description
    return save(actor, row)


def unwhitelist(actor: Actor, network: str) -> int:
    """Take a network off the whitelist; how many entries that took."""
    require(actor)
    return remove(actor, WhitelistEntry.objects.filter(network=_spelled(network)))


def blacklisted(addresses: Iterable[str], protocol: Protocol = Protocol.SMTP) -> set[str]:
    """Which of the addresses are kept out at this moment."""
    now = lists.newest()
    return {address for address in addresses if now.blacklisted(address, protocol)}


def _spelled(network: str) -> str:
    return spell(parse(network))
