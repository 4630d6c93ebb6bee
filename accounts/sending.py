"""Who may send as whom. Answers come from the directory's cache; they may query: not for event loops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accounts import directory
from accounts.addresses import key_of
from accounts.directory import LocalUser
from accounts.models.sending import SendAs

# Those that may leave the sender empty, as servers do in their notices.
_ALSO_NOBODY = (SendAs.ENVELOPE, SendAs.ANY)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An address that the user may not send as ("" for the empty sender), and what would do."""

    address: str
    user: LocalUser
    rule: SendAs

    @property
    def advice(self) -> str:
        """ "you are logged in as ann@example.org; send as that address or an alias of it"."""
        return f"you are logged in as {self.user.address}; send as {self._instead}"

    @property
    def _instead(self) -> str:
        if self.rule is SendAs.DOMAIN:
            return f"an address of {self.user.domain}"
        return "that address or an alias of it"


def envelope_refusal(user: LocalUser, sender: str, server: SendAs) -> Refusal | None:
    """Why `sender` may not be the envelope's; `server` is the rule of those who have none of their own."""
    rule = _rule(user, server)
    if rule is None:
        return Refusal(sender, user, SendAs.OWN)
    if not sender:
        return None if rule in _ALSO_NOBODY else Refusal(sender, user, rule)
    return None if rule is SendAs.ANY or _may(user, sender, rule) else Refusal(sender, user, rule)


def header_refusal(user: LocalUser, addresses: Iterable[str], server: SendAs) -> Refusal | None:
    """The first of the header's senders that may not stand there."""
    rule = _rule(user, server)
    if rule is None:
        return Refusal(user.address, user, SendAs.OWN)
    if rule in (SendAs.ANY, SendAs.ENVELOPE):
        return None
    return next((Refusal(one, user, rule) for one in addresses if not _may(user, one, rule)), None)


def looks_at_headers(user: LocalUser, server: SendAs) -> bool:
    """Whether the header has a say at all, as far as is known of the user."""
    return SendAs(user.send_as or server) in (SendAs.OWN, SendAs.DOMAIN)


def _rule(user: LocalUser, server: SendAs) -> SendAs | None:
    """The rule as it stands now, whatever it was at the login; None when the user may not send any more."""
    me = directory.lookup(user.address)
    if not isinstance(me, LocalUser) or me.id != user.id or not me.status.may_send:
        return None
    return SendAs(me.send_as or server)


def _may(user: LocalUser, address: str, rule: SendAs) -> bool:
    if rule is SendAs.DOMAIN and key_of(address).rpartition("@")[2] == user.domain:
        return True
    return directory.may_send_as(user, address)
