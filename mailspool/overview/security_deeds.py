"""What a row's menu does in Security: blacklisting an address, blocking a sender or domain. Two-way with its pages."""

from __future__ import annotations

from collections.abc import Mapping

from accounts.addresses import key_of
from mailspool.overview.deeds import Deed, Done, Question, Target
from security.actions import blacklist, block_smtp, unblacklist_from_spool, unblock_smtp_from_spool
from security.models import Direction, Protocol, Source
from spool.actions import Actor


class BlacklistIP(Deed):
    """By SMTP only, and marked as made in the spool."""

    name, icon = "blacklist", "block"

    def offered(self, target: Target) -> bool:
        return target.table.subject == "ip"

    def label(self, target: Target) -> str:
        return "Unblock IP" if target.key in target.known.blacklisted else "Blacklist IP"

    def question(self, target: Target) -> Question:
        if target.key in target.known.blacklisted:
            effect = "What the spool has blacklisted leaves the blacklist: it may hand in mail by SMTP again."
            return Question("Unblock IP", effect, "Unblock IP", wanted="unblock")
        return Question(
            "Blacklist IP",
            "From now on it can't hand in mail by SMTP, over connections that are open either. What is in the spool "
            "stays there: Delete Messages is for that.",
            "Blacklist IP",
            danger=True,
            wanted="block",
        )

    def do(self, actor: Actor, target: Target, given: Mapping[str, str]) -> Done:
        if given.get("wanted") == "unblock":
            unblacklist_from_spool(actor, target.key)
            return Done(f"{target.key} may hand in mail again.")
        blacklist(
            actor,
            target.key,
            protocols=[Protocol.SMTP],
            source=Source.SPOOL,
            description=f"Blacklisted in the Overview ({target.table.title})",
        )
        return Done(f"{target.key} is blacklisted for SMTP.")


class BlockSMTP(Deed):
    """By the envelope sender; never by the EHLO domain."""

    direction: Direction
    icon = "unsubscribe"

    def known(self, target: Target) -> set[str]:
        """The senders that are blocked in this direction."""
        raise NotImplementedError

    def effect(self, target: Target) -> str:
        """What a block does, in sentences."""
        raise NotImplementedError

    def offered(self, target: Target) -> bool:
        return target.table.subject in ("sender", "domain") and bool(target.key)

    def label(self, target: Target) -> str:
        return f"{'Unblock' if target.key in self.known(target) else 'Block'} {self.direction.label} SMTP"

    def question(self, target: Target) -> Question:
        title = self.label(target)
        if target.key in self.known(target):
            return Question(title, "The block is removed: its mail is taken again.", title, wanted="unblock")
        return Question(title, self.effect(target), title, danger=True, wanted="block")

    def do(self, actor: Actor, target: Target, given: Mapping[str, str]) -> Done:
        whose = f"{self.direction.label} mail from {target.key}"
        if given.get("wanted") == "unblock":
            unblock_smtp_from_spool(actor, target.key, self.direction)
            return Done(f"{whose} is taken in again.")
        block_smtp(
            actor,
            target.key,
            direction=self.direction,
            source=Source.SPOOL,
            description=f"Blocked in the Overview ({target.table.title})",
        )
        return Done(f"{whose} is blocked.")


class BlockInboundSMTP(BlockSMTP):
    """What comes from outside. Those of our own who log in are not stopped by it, and the dialog says so."""

    name, direction = "block", Direction.INBOUND

    def known(self, target: Target) -> set[str]:
        return target.known.blocked

    def effect(self, target: Target) -> str:
        whose = f"every address of {target.key}" if target.table.subject == "domain" else "this address"
        refused = f"Mail for users of this server from {whose} (envelope sender) is refused"
        if not _is_ours(target):
            return f"{refused}."
        instead = "Block Outbound SMTP" if target.table.subject == "domain" else "Disable User or Block Outbound SMTP"
        return (
            f"{refused} when it comes from outside. It is of this server: who logs in, or sends from a host that needs"
            f" no login, still sends with it, to anybody. Against that, use {instead}."
        )


class BlockOutboundSMTP(BlockSMTP):
    """For senders of our own: what they send after a login, or from hosts that need none."""

    name, direction = "block-outbound", Direction.OUTBOUND

    def known(self, target: Target) -> set[str]:
        return target.known.blocked_outbound

    def offered(self, target: Target) -> bool:
        return super().offered(target) and (_is_ours(target) or target.key in self.known(target))

    def effect(self, target: Target) -> str:
        whose = f"an address of {target.key}" if target.table.subject == "domain" else "this address"
        return (
            f"Nobody who has logged in, and no host that needs no login, can send with {whose} as envelope sender any"
            " more, to users of this server either. Mail for its mailboxes still arrives."
        )


def _is_ours(target: Target) -> bool:
    """Whether a sender, or a domain, is of this server."""
    return key_of(target.key).rpartition("@")[2] in target.known.local_domains
