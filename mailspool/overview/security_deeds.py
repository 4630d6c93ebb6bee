"""What a row's menu does in Security: blacklisting an address, blocking a sender or domain. Two-way with its pages."""

from __future__ import annotations

from collections.abc import Mapping

from mailspool.overview.deeds import Deed, Done, Question, Target
from security.actions import blacklist, block_smtp, unblacklist, unblock_smtp
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
            return Question("Unblock IP", "Its entry leaves the blacklist: it may hand in mail again.", "Unblock IP",
                            wanted="unblock")  # fmt: skip
        return Question(
            "Blacklist IP",
            "From now on it can't hand in mail by SMTP, over connections that are open either. What is in the spool "
            "stays there: Delete Messages is for that.",
            "Blacklist IP", danger=True, wanted="block",
        )  # fmt: skip

    def do(self, actor: Actor, target: Target, given: Mapping[str, str]) -> Done:
        if given.get("wanted") == "unblock":
            unblacklist(actor, target.key)
            return Done(f"{target.key} is off the blacklist.")
        blacklist(
            actor, target.key, protocols=[Protocol.SMTP], source=Source.SPOOL,
            description=f"Blacklisted in the Overview ({target.table.title})",
        )  # fmt: skip
        return Done(f"{target.key} is blacklisted for SMTP.")


class BlockInboundSMTP(Deed):
    """By the envelope sender; never by the EHLO domain."""

    name, icon = "block", "unsubscribe"

    def offered(self, target: Target) -> bool:
        return target.table.subject in ("sender", "domain") and bool(target.key)

    def label(self, target: Target) -> str:
        return "Unblock Inbound SMTP" if target.key in target.known.blocked else "Block Inbound SMTP"

    def question(self, target: Target) -> Question:
        if target.key in target.known.blocked:
            return Question("Unblock Inbound SMTP", "The block is removed: mail from it is taken in again.",
                            "Unblock Inbound SMTP", wanted="unblock")  # fmt: skip
        whose = f"every address of {target.key}" if target.table.subject == "domain" else "this address"
        own = " It is a domain of this server: mail of its own users is refused too." if (
            target.table.subject == "domain" and target.key in target.known.local_domains
        ) else ""  # fmt: skip
        return Question(
            "Block Inbound SMTP", f"Mail for users of this server from {whose} (envelope sender) is refused.{own}",
            "Block Inbound SMTP", danger=True, wanted="block",
        )  # fmt: skip

    def do(self, actor: Actor, target: Target, given: Mapping[str, str]) -> Done:
        if given.get("wanted") == "unblock":
            unblock_smtp(actor, target.key, Direction.INBOUND)
            return Done(f"Mail from {target.key} is taken in again.")
        block_smtp(
            actor, target.key, direction=Direction.INBOUND, source=Source.SPOOL,
            description=f"Blocked in the Overview ({target.table.title})",
        )  # fmt: skip
        return Done(f"Inbound mail from {target.key} is blocked.")
