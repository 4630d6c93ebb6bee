"""What pages say of limits and refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from base.numbers import decimal, grouped
from base.texts import Text
from spool.delivery.shaping.destinations import Limit, Site, What
from spool.message.encryption import Proof

# By what a refusal was about (spool.delivery.shaping.classes).
REASONS: Final[Mapping[str, Text]] = {
    "rate": _lazy("It says that we send too much or too fast"),
    "connections": _lazy("It says that we open too many connections"),
    "reputation": _lazy("It refuses our address"),
    "messages": _lazy("It takes only so many messages over one connection"),
    "greylisting": _lazy("It greylists"),
    "authentication": _lazy("It could not make sure who sent it"),
    "mailbox-full": _lazy("A mailbox there is full"),
    "policy": _lazy("Its policy refuses the message"),
    "other": _lazy("It refused something else"),
}
# What proved that it was the right host, and the tone of that.
PROOFS: Final[Mapping[Proof, tuple[Text, str]]] = {
    Proof.DANE: (_lazy("Verified by DANE"), "good"),
    Proof.MTA_STS: (_lazy("Verified by MTA-STS"), "good"),
    Proof.AUTHORITY: (_lazy("Verified by a public authority"), "good"),
    Proof.NOTHING: (_lazy("Encrypted, not verified"), "quiet"),
    Proof.CLEAR_TEXT: (_lazy("Clear text"), "waiting"),
}
_OF_WHAT: Final = {
    What.RATE: "rate",
    What.CONNECTIONS: "connections",
    What.SUSPENSION: "reputation",
    What.MESSAGES: "messages",
}


def amount(limit: Limit) -> str:
    """ "12 messages a minute"."""
    if limit.what is What.SUSPENSION or not isinstance(limit.value, float | int):
        return _("Nothing is sent")
    if limit.what is What.CONNECTIONS:
        return ngettext("%(number)s connection at once", "%(number)s connections at once", int(limit.value)) % {
            "number": grouped(int(limit.value))
        }
    if limit.what is What.MESSAGES:
        return ngettext("%(number)s message a connection", "%(number)s messages a connection", int(limit.value)) % {
            "number": grouped(int(limit.value))
        }
    if limit.value < 10 and round(limit.value, 1) != round(limit.value):
        return _("%(number)s messages a minute") % {"number": decimal(limit.value, 1)}
    return ngettext("%(number)s message a minute", "%(number)s messages a minute", round(limit.value)) % {
        "number": grouped(round(limit.value))
    }


def reason(limit: Limit, site: Site) -> str:
    """Why it is there."""
    if limit.rule is not None:
        return (limit.what is What.SUSPENSION and limit.rule.suspended_reason) or (
            _("The rule for %(title)s") % {"title": limit.rule.title}
        )
    if limit.is_by_hand:
        return site.note or _("Set by hand")
    return str(REASONS[_OF_WHAT[limit.what]])


def named(site: str) -> tuple[str, int]:
    """A provider, or the first of the hosts of a set and how many more there are."""
    hosts = site.split(" ") if "." in site else [site]
    return hosts[0], len(hosts) - 1
