"""Blocking senders and hosts' names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts import directory
from accounts.addresses import key_of
from base.actions.action import Change, Refused, Target, WayBack, Written
from base.actions.inputs import Input
from base.actions.perform import perform
from base.facts import fact
from security import lists
from security.actions.networks import DESCRIPTION
from security.actions.rows import number_removed, removed, stored
from security.audit import SecurityAction
from security.models import BlockKind, Direction, SMTPBlock, Source
from security.patterns import BadPattern, bare, kind_of, normal_pattern
from spool.actions.actor import Actor

DIRECTION = Input(
    "direction",
    _lazy("Direction"),
    "choice",
    choices=tuple(Direction.values),
    labels=tuple(Direction.labels),
    option_help="whose mail: that of others, that of your users, or both",
)


class _OfSenders(SecurityAction):
    """What blocks and their ends have in common: by the envelope sender; by the EHLO domain only where that is said."""

    kinds = ("sender", "domain", "pattern")
    icon = "unsubscribe"
    undoable = True
    direction: ClassVar[Direction] = Direction.INBOUND

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **super().parameters(given),
            "direction": Direction(given.get("direction", self.direction)),
            "source": given.get("source", Source.SPOOL),
            "kind": given.get("kind", ""),
            "dry_run": given.get("dry_run", False),
        }


class BlockSMTP(_OfSenders):
    """Refuses mail by its envelope sender; what is blocked already is blocked in that direction as well."""

    menu_kinds: ClassVar[tuple[str, ...] | None] = ("sender", "domain")
    danger = True
    inputs = (DESCRIPTION,)
    back: ClassVar[str]

    def is_due(self, target: Target) -> bool:
        return not smtp_blocked(target.keys, self.direction)

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        direction, source = parameters["direction"], parameters["source"]
        kind, pattern = understood(target.key, parameters["kind"])
        row = SMTPBlock.objects.select_for_update().filter(kind=kind, pattern=pattern).first()
        if row is None:
            row = SMTPBlock(kind=kind, pattern=pattern, direction=direction, source=source)
            row.spool_direction = direction if source == Source.SPOOL else ""
        else:
            if source == Source.SPOOL:
                added = direction.parts - Direction(row.direction).parts | row.spool_parts
                row.spool_direction = Direction.of(added) if added else ""
            row.direction = Direction.of(Direction(row.direction).parts | direction.parts)
        row.description = parameters["description"] or row.description
        entry = stored(row, by=actor.name)
        made_here = source == Source.SPOOL
        back = WayBack(self.back, target) if made_here else WayBack(UNBLOCK_SMTP.name, target, {"direction": direction})
        return Change(
            (_("%(direction)s mail from %(target)s is blocked.") % {"direction": direction.label, "target": target}),
            [entry],
            row,
            undo=back,
        )


class BlockInbound(BlockSMTP):
    """Refuses what comes from outside by its envelope sender."""

    name, label, back = "block", _lazy("Block Inbound SMTP"), "end-block"

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        whose = _("every address of %(target)s") % {"target": target} if target.kind == "domain" else _("this address")
        if not _is_ours(target.key):
            return _("Mail for users of this server from %(whose)s (envelope sender) is refused.") % {"whose": whose}
        instead = _("Block Outbound SMTP") if target.kind == "domain" else _("Disable User or Block Outbound SMTP")
        return _(
            "Mail for users of this server from %(whose)s (envelope sender) is refused when it comes from outside."
            " It is of this server: who logs in, or sends from a host that needs no login, still sends with it, to"
            " anybody. Against that, use %(instead)s."
        ) % {"whose": whose, "instead": instead}


class BlockOutbound(BlockSMTP):
    """Refuses what senders of this server send, after a login or from hosts that need none."""

    name, label, back = "block-outbound", _lazy("Block Outbound SMTP"), "end-block-outbound"
    direction = Direction.OUTBOUND

    def suits(self, target: Target) -> bool:
        return _is_ours(target.key)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        whose = (_("an address of %(target)s") % {"target": target}) if target.kind == "domain" else _("this address")
        return _(
            "Nobody who has logged in, and no host that needs no login, can send with %(whose)s as "
            "envelope sender any more, to users of this server either. Mail for its mailboxes still "
            "arrives."
        ) % {"whose": whose}


class EndBlock(_OfSenders):
    """Takes back what the spool has blocked, and nothing that somebody has blocked in Security."""

    menu_kinds: ClassVar[tuple[str, ...] | None] = ("sender", "domain")
    block: ClassVar[str]

    def is_due(self, target: Target) -> bool:
        return bool(smtp_blocked(target.keys, self.direction))

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("The block is removed: its mail is taken again.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        direction = parameters["direction"]
        kind, pattern = understood(target.key, "")
        row = SMTPBlock.objects.select_for_update().filter(kind=kind, pattern=pattern).first()
        said = _("%(direction)s mail from %(target)s is taken in again.") % {
            "direction": direction.label,
            "target": target,
        }
        if row is None or not direction.parts & Direction(row.direction).parts:
            _refuse_larger(pattern, kind, direction)
            return Change(said)
        made = row.spool_parts & direction.parts
        if not made:
            if row.created_by:
                refusal = fact(
                    "%(pattern)s was blocked in Security by %(who)s, not from the spool: remove it from the SMTP "
                    "Blocks there.",
                    pattern=pattern,
                    who=row.created_by,
                )
            else:
                refusal = fact(
                    "%(pattern)s was blocked in Security, not from the spool: remove it from the SMTP Blocks there.",
                    pattern=pattern,
                )
            raise Refused(refusal)
        back = WayBack(self.block, target, {"description": row.description})
        left = Direction(row.direction).parts - made
        if not left:
            return Change(said, removed([row]), undo=back)
        kept = row.spool_parts - made
        row.direction, row.spool_direction = Direction.of(left), Direction.of(kept) if kept else ""
        if row.source == Source.SPOOL and not kept:
            row.source = Source.MANUAL
        return Change(said, [stored(row, by=actor.name)], undo=back)


class EndInboundBlock(EndBlock):
    """Takes the sender's mail from outside again, if it was blocked from the spool."""

    name, label, block = "end-block", _lazy("Unblock Inbound SMTP"), "block"


class EndOutboundBlock(EndBlock):
    """Lets the sender send again, if it was blocked from the spool."""

    name, label, block = "end-block-outbound", _lazy("Unblock Outbound SMTP"), "block-outbound"
    direction = Direction.OUTBOUND


class UnblockSMTP(_OfSenders):
    """Ends blocks in a direction, whoever made them."""

    name, label = "unblock", _lazy("Unblock SMTP")
    effect_text = _lazy("Its blocks in this direction end, whoever made them.")
    undoable: ClassVar[bool] = False
    menu_kinds: ClassVar[tuple[str, ...] | None] = ()
    direction = Direction.BOTH
    inputs = (DIRECTION,)

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        entries: list[Written] = []
        changed = 0
        for key in target.keys:
            ended = self._end(actor, key, parameters)
            changed += ended is not None
            entries += ended or []
        return Change(number_removed(changed), entries, changed)

    def _end(self, actor: Actor, text: str, parameters: Mapping[str, Any]) -> list[Written] | None:
        """None where nothing had to be changed."""
        kind, pattern = understood(text, parameters["kind"])
        row = SMTPBlock.objects.select_for_update().filter(kind=kind, pattern=pattern).first()
        parts = parameters["direction"].parts
        if row is None or not parts & Direction(row.direction).parts:
            _refuse_larger(pattern, kind, parameters["direction"])
            return None
        if parameters["dry_run"]:
            return []
        if left := Direction(row.direction).parts - parts:
            row.direction = Direction.of(left)
            return [stored(row, by=actor.name)]
        return removed([row])


BLOCK_INBOUND, BLOCK_OUTBOUND = BlockInbound(), BlockOutbound()
END_INBOUND, END_OUTBOUND, UNBLOCK_SMTP = EndInboundBlock(), EndOutboundBlock(), UnblockSMTP()


def sender_named(key: str) -> Target | None:
    """An envelope sender; the null sender is nobody."""
    return Target.of("sender", key) if "@" in key and len(key) <= 320 else None


def block_smtp(
    actor: Actor,
    pattern: str,
    *,
    direction: str = Direction.INBOUND,
    source: str = Source.MANUAL,
    description: str = "",
    kind: str = "",
) -> SMTPBlock:
    """Refuse mail by its envelope sender. One that is blocked already is blocked in that direction as well.

    Without a `kind`, a pattern with a local part is an address, and any other a domain; EHLO domains have to be said.
    """
    given = {"direction": direction, "source": source, "description": description, "kind": kind}
    row: SMTPBlock = perform(BLOCK_INBOUND, actor, Target.of("pattern", pattern), given).result
    return row


def unblock_smtp(
    actor: Actor, pattern: str, direction: str = Direction.BOTH, *, kind: str = "", dry_run: bool = False
) -> int:
    """End a block in that direction; how many that changed. Refused when only a larger pattern blocks it."""
    given = {"direction": direction, "kind": kind, "dry_run": dry_run}
    count: int = perform(UNBLOCK_SMTP, actor, Target.of("pattern", pattern), given).result
    return count


def smtp_blocked(patterns: Iterable[str], direction: str) -> set[str]:
    """Which of these senders (addresses or domains) are blocked at this moment, in all of that direction."""
    now = lists.newest()
    parts = Direction(direction).parts
    return {
        pattern
        for pattern in patterns
        if all(
            now.blocks(part).senders.find(pattern)
            if kind_of(pattern) == BlockKind.ADDRESS
            else now.blocks(part).senders.find_domain(bare(pattern))
            for part in parts
        )
    }


def understood(pattern: str, kind: str) -> tuple[str, str]:
    """Kind and spelling of a pattern. Raises Refused."""
    kind = BlockKind(kind or kind_of(pattern)).value
    try:
        return kind, normal_pattern(bare(pattern) if kind == BlockKind.DOMAIN else pattern, kind)
    except BadPattern as error:
        raise Refused(str(error)) from error


def _is_ours(key: str) -> bool:
    """Whether a sender, or a domain, is of this server."""
    return directory.local_domain(key_of(key if "@" in key else f"@{key}").rpartition("@")[2]) is not None


def _refuse_larger(pattern: str, kind: str, direction: Direction) -> None:
    """Raises Refused with the larger pattern, where that is why this one is blocked."""
    if kind != BlockKind.EHLO and (rule := _rule_about(pattern, kind, direction.parts)):
        raise Refused(fact("%(pattern)s is blocked by %(rule)s; remove that block.", pattern=pattern, rule=str(rule)))


def _rule_about(pattern: str, kind: str, parts: frozenset[Direction]) -> str:
    for part in parts:
        senders = lists.current().blocks(part).senders
        rule = senders.find(pattern) if kind == BlockKind.ADDRESS else senders.find_domain(pattern)
        if rule is not None:
            return rule.pattern
    return ""
