"""What pages say of limits and refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spool.delivery.shaping.destinations import Limit, Site, What
from spool.message.encryption import Proof

# By what a refusal was about (spool.delivery.shaping.classes).
REASONS: Final[Mapping[str, str]] = {
    "rate": "It says that we send too much or too fast",
    "connections": "It says that we open too many connections",
    "reputation": "It refuses our address",
    "greylisting": "It greylists",
    "authentication": "It could not make sure who sent it",
    "mailbox-full": "A mailbox there is full",
    "policy": "Its policy refuses the message",
    "other": "It refused something else",
}
# What proved that it was the right host, and the tone of that.
PROOFS: Final[Mapping[Proof, tuple[str, str]]] = {
    Proof.DANE: ("Verified by DANE", "good"),
    Proof.MTA_STS: ("Verified by MTA-STS", "good"),
    Proof.AUTHORITY: ("Verified by a public authority", "good"),
    Proof.NOTHING: ("Encrypted, not verified", "quiet"),
    Proof.CLEAR_TEXT: ("Clear text", "waiting"),
}
_OF_WHAT: Final = {What.RATE: "rate", What.CONNECTIONS: "connections", What.SUSPENSION: "reputation"}


def amount(limit: Limit) -> str:
    """ "12 messages a minute"."""
    if limit.what is What.SUSPENSION or not isinstance(limit.value, float | int):
        return "Nothing is sent"
    if limit.what is What.CONNECTIONS:
        return f"{limit.value:,} connection{'' if limit.value == 1 else 's'} at once"
    shown = f"{limit.value:,.0f}" if limit.value >= 10 else f"{limit.value:.1f}".removesuffix(".0")
    return f"{shown} message{'' if shown == '1' else 's'} a minute"


def reason(limit: Limit, site: Site) -> str:
    """Why it is there."""
    if limit.rule is not None:
        return (limit.what is What.SUSPENSION and limit.rule.suspended_reason) or f"The rule for {limit.rule.title}"
    if limit.is_by_hand:
        return site.note or "Set by hand"
    return REASONS[_OF_WHAT[limit.what]]


def named(site: str) -> tuple[str, int]:
    """A provider, or the first of the hosts of a set and how many more there are."""
    hosts = site.split(" ") if "." in site else [site]
    return hosts[0], len(hosts) - 1
