"""What DNS lists say of the addresses that mail leaves from (RFC 5782): to be on none is right."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from base.facts import fact
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
            fact(
                "%(zone)s does not answer this resolver: it wants to be asked by one of your own, or by people it"
                " knows.",
                zone=zone,
            )
        )
    if not any(answer in LISTED for answer in answers):
        # Whoever answers otherwise answers for names that do not exist.
        return right(fact("%(address)s is not on %(zone)s.", address=address, zone=zone))
    try:
        reasons = ask(name, "TXT")
    except NoAnswer:
        reasons = ()
    advice = fact("Find out what was sent, then ask there for removal.")
    if not reasons:
        return wrong(
            fact("%(address)s is on the block list %(zone)s. %(advice)s", address=address, zone=zone, advice=advice)
        )
    return wrong(
        fact(
            "%(address)s is on the block list %(zone)s: %(reason)s. %(advice)s",
            address=address,
            zone=zone,
            reason=reasons[0][:_LONGEST_REASON],
            advice=advice,
        )
    )
