"""Blocking senders and hosts' names."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from security import lists
from security.actions.rows import remove, save
from security.audit import require
from security.models import BlockKind, Direction, SMTPBlock, Source
from security.patterns import BadPattern, bare, kind_of, normal_pattern
from spool.actions.actor import Actor
from spool.actions.verb import Refused


@transaction.atomic
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
    require(actor)
    kind, pattern = understood(pattern, kind)
    row = SMTPBlock.objects.select_for_update().filter(kind=kind, pattern=pattern).first()
    if row is None:
        row = SMTPBlock(kind=kind, pattern=pattern, direction=direction, source=source)
        row.spool_direction = direction if source == Source.SPOOL else ""
    else:
        if source == Source.SPOOL:
            added = Direction(direction).parts - Direction(row.direction).parts | row.spool_parts
            row.spool_direction = Direction.of(added) if added else ""
        row.direction = Direction.of(Direction(row.direction).parts | Direction(direction).parts)
    row.description = description or row.description
    return save(actor, row)


@transaction.atomic
def unblock_smtp(
    actor: Actor, pattern: str, direction: str = Direction.BOTH, *, kind: str = "", dry_run: bool = False
) -> int:
    """End a block in that direction; how many that changed. Refused when only a larger pattern blocks it."""
    require(actor)
    kind, pattern = understood(pattern, kind)
    row = SMTPBlock.objects.select_for_update().filter(kind=kind, pattern=pattern).first()
    parts = Direction(direction).parts
    if row is None or not parts & Direction(row.direction).parts:
        if kind != BlockKind.EHLO and (rule := _rule_about(pattern, kind, parts)):
            raise Refused(f"{pattern} is blocked by {rule}; remove that block.")
        return 0
    left = Direction(row.direction).parts - parts
    if dry_run:
        return 1
    if left:
        row.direction = Direction.of(left)
        save(actor, row)
        return 1
    return remove(actor, SMTPBlock.objects.filter(pk=row.pk))


@transaction.atomic
def unblock_smtp_from_spool(actor: Actor, pattern: str, direction: str) -> None:
    """Take back what the spool has blocked in that direction, and nothing that somebody has blocked in Security."""
    require(actor)
    kind, pattern = understood(pattern, "")
    row = SMTPBlock.objects.select_for_update().filter(kind=kind, pattern=pattern).first()
    parts = Direction(direction).parts
    if row is None or not parts & Direction(row.direction).parts:
        # It is refused with the larger pattern, where that is the reason.
        unblock_smtp(actor, pattern, direction)
        return
    made = row.spool_parts & parts
    if not made:
        by = f" by {row.created_by}" if row.created_by else ""
        raise Refused(
            f"{pattern} was blocked in Security{by}, not from the spool: remove it from the SMTP Blocks there."
        )
    left = Direction(row.direction).parts - made
    if not left:
        remove(actor, SMTPBlock.objects.filter(pk=row.pk))
        return
    kept = row.spool_parts - made
    row.direction, row.spool_direction = Direction.of(left), Direction.of(kept) if kept else ""
    if row.source == Source.SPOOL and not kept:
        row.source = Source.MANUAL
    save(actor, row)


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


def _rule_about(pattern: str, kind: str, parts: frozenset[Direction]) -> str:
    for part in parts:
        senders = lists.current().blocks(part).senders
        rule = senders.find(pattern) if kind == BlockKind.ADDRESS else senders.find_domain(pattern)
        if rule is not None:
            return rule.pattern
    return ""
