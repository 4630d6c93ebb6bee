"""What DNS lists say of the addresses that mail leaves from (RFC 5782): to be on none is right."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from base.name_servers import NoAnswer
from mailspool.dns_records.asking import ask
from mailspool.dns_records.records import Verdict, right, unknown, wrong
from quarantine.engines.dnslists import LISTED, REFUSALS

_LONGEST_REASON: Final = 200


def verdict(records: Sequence[str], address: str, zone: str, name: str) -> Verdict:
    """Whether `address` is on the list that was asked for `name`; why it is, the list says in a text."""
    answers = [ipaddress.IPv4Address(text) for text in records]
    if any(answer in REFUSALS for answer in answers):
        return unknown(
            f"{zone} does not answer this resolver: it wants to be asked by one of your own, or by people it knows."
        )
    if not any(answer in LISTED for answer in answers):
        # Whoever answers otherwise answers for names that do not exist.
        return right(f"{address} is not on {zone}.")
    try:
        reasons = ask(name, "TXT")
    except NoAnswer:
        reasons = ()
    reason = f": {reasons[0][:_LONGEST_REASON]}" if reasons else ""
    return wrong(f"{address} is on the block list {zone}{reason}. Find out what was sent, then ask there for removal.")
