"""Who is trusted not to send spam, and whether it is really they who wrote."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Final

from accounts import directory
from accounts.addresses import domain_of, key_of
from accounts.directory import LocalUser
from quarantine.engines.authentication import dkim_of, spf_of
from quarantine.engines.dmarc import TooMuch, dmarc_of, from_domains
from quarantine.engines.dnslists import organisational
from quarantine.engines.examined import Examined
from spool.message.envelope import LeasedEntry
from spool.rows import statements

log = logging.getLogger(__name__)

_SECONDS: Final = 20.0


def trusted_of(senders: Collection[str]) -> set[str]:
    """Those of the senders that are trusted, by their address or domain."""
    named = {sender: {key_of(sender), domain_of(sender)} for sender in senders if sender}
    asked = set().union(*named.values()) if named else set()
    if not asked:
        return set()
    marks = ", ".join(["%s"] * len(asked))
    found = statements.execute(f"SELECT pattern FROM quarantine_trustedsender WHERE pattern IN ({marks})", list(asked))  # noqa: S608
    known = {row[0] for row in found.fetchall()}
    return {sender for sender, names in named.items() if names & known}


def trusted_among(entries: Sequence[LeasedEntry], ours: Collection[int]) -> set[int]:
    """The ids of those whose sender is trusted; of our own people's, `ours`, only if the sender is theirs."""
    trusted = trusted_of({entry.sender for entry in entries})
    return {entry.id for entry in entries if entry.sender in trusted and (entry.id not in ours or is_their_own(entry))}


def is_their_own(entry: LeasedEntry) -> bool:
    """Whether the envelope sender of a message of ours is the address of whoever handed it in."""
    if not entry.auth_user or entry.auth_user == key_of(entry.sender):
        return True
    user = directory.lookup(entry.auth_user)
    return isinstance(user, LocalUser) and directory.may_send_as(user, entry.sender)


async def voucher(examined: Examined) -> str:
    """What proves that a message is its envelope sender's, in a few words; "" when nothing does.

    SPF for the sender's domain, or a DKIM signature of that domain or one above or below it. A From that fails DMARC is
    not covered by a proof of the envelope. Raises FileNotFoundError when the message is gone.
    """
    if examined.ours:
        return "from one of us"
    domain = examined.sender.rpartition("@")[2]
    if examined.remailed or not domain:
        return ""
    try:
        async with asyncio.timeout(_SECONDS):
            proof = await _proof(examined, domain)
            return proof if proof and (await dmarc_of(examined)).result != "fail" else ""
    except TimeoutError:
        log.warning("it could not be found out in time whether a message of a trusted sender is really theirs")
        return ""


async def author_voucher(examined: Examined, author: str) -> str:
    """What proves that a message was written by `author`, the one address in From; "" when nothing does.

    DMARC passes for its domain, or that has no policy and SPF or DKIM speaks for it. No other domain may be shown in
    From. Raises FileNotFoundError when the message is gone.
    """
    domain = author.rpartition("@")[2]
    if examined.remailed or not domain:
        return ""
    try:
        if from_domains(examined) != [domain]:
            return ""
        async with asyncio.timeout(_SECONDS):
            result = (await dmarc_of(examined)).result
            if result == "pass":
                return f"DMARC passes for {domain}"
            return await _proof(examined, domain) if result == "none" else ""
    except TooMuch:
        return ""
    except TimeoutError:
        log.warning("it could not be found out in time whether a message is really of whom it says")
        return ""


async def _proof(examined: Examined, domain: str) -> str:
    spf, registered = await spf_of(examined), organisational(domain)
    if spf.result == "pass" and not spf.of_helo and organisational(spf.domain) == registered:
        return f"SPF passes for {domain}"
    for one in await dkim_of(examined):
        if one.result == "pass" and organisational(one.domain) == registered:
            return f"DKIM passes for {one.domain}"
    return ""
