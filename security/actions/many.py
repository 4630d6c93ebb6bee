"""Listing many at once, as from a file that somebody publishes: in a few statements, with one line in the audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from security import lists
from security.actions.rows import CHUNK, let_in_anyway
from security.actions.senders import understood
from security.addresses import BadNetwork, parse_network, spell
from security.audit import require, write
from security.models import BlacklistEntry, Direction, Protocol, SMTPBlock, Source
from spool.actions.actor import Actor
from spool.actions.verb import Refused

MOST = 100_000
LONGEST_PATTERN = 254


@dataclass(slots=True)
class Added:
    """What became of many: new, there already, left out for a reason, or listed although they are large."""

    new: int = 0
    present: int = 0
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """For the audit (security.sentences)."""
        return {"added": self.new, "present": self.present, "left_out": len(self.problems)}

    def __str__(self) -> str:
        text = f"{self.new:,} added, {self.present:,} were listed already"
        return text + (f", {len(self.problems):,} left out" if self.problems else "")


def networks_in(text: str) -> list[str]:
    """The entries of a list as it is published: one to a line or between commas; # and ; begin a remark."""
    lines = (line.partition("#")[0].partition(";")[0] for line in text.splitlines())
    return [word for line in lines for word in line.replace(",", " ").split()]


@transaction.atomic
def blacklist_many(
    actor: Actor,
    networks: Iterable[str],
    *,
    protocols: Iterable[str] = (Protocol.SMTP,),
    description: str = "",
    source: str = Source.MANUAL,
    expires_at: datetime | None = None,
    dry_run: bool = False,
) -> Added:
    """Keep networks out. What can't be listed is left out and named; those listed already get the protocols too.

    Raises NotAllowed, Refused.
    """
    require(actor)
    outcome, rows = Added(), dict[str, BlacklistEntry]()
    wanted = {Protocol(protocol).value for protocol in protocols}
    if not wanted:
        raise Refused("Choose at least one of SMTP and web.")
    for text in networks:
        row = BlacklistEntry(
            network=text, description=description, source=source, expires_at=expires_at, created_by=actor.name[:254]
        )
        row.set_protocols(wanted)
        problem = _problem_with(row)
        if problem:
            outcome.problems.append(problem)
        else:
            if row.network not in rows and row.warning:
                outcome.warnings.append(row.warning)
            rows[row.network] = row
        if len(rows) > MOST:
            raise Refused(f"These are more than {MOST:,} networks.")
    present = _present(rows)
    outcome.new, outcome.present = len(rows) - len(present), len(present)
    if not rows or dry_run:
        return outcome
    lists.changed()
    BlacklistEntry.objects.bulk_create(
        [row for network, row in rows.items() if network not in present], batch_size=CHUNK // 10
    )
    _extend(sorted(present), wanted, expires_at)
    write(actor, "blacklist", list(rows), **outcome.counts, description=description)
    return outcome


@transaction.atomic
def set_expiry(actor: Actor, rows: QuerySet[BlacklistEntry], expires_at: datetime | None) -> int:
    """Let entries end at a time, or never; how many. Raises NotAllowed."""
    require(actor)
    found = list(rows.values_list("network", flat=True))
    lists.changed()
    changed = rows.update(expires_at=expires_at)
    if changed:
        write(actor, "blacklist", found, kept_out=changed, until=expires_at.isoformat() if expires_at else "")
    return changed


@transaction.atomic
def block_smtp_many(
    actor: Actor,
    patterns: Iterable[str],
    *,
    direction: str = Direction.INBOUND,
    kind: str = "",
    description: str = "",
    source: str = Source.MANUAL,
    dry_run: bool = False,
) -> Added:
    """Block senders or hosts' names. What can't be blocked is left out and named; those that are blocked already are
    blocked in that direction as well.

    Raises NotAllowed, Refused.
    """
    require(actor)
    outcome, rows = Added(), dict[tuple[str, str], SMTPBlock]()
    for text in patterns:
        try:
            of, pattern = understood(text, kind)
        except Refused as error:
            outcome.problems.append(str(error))
            continue
        if len(pattern) > LONGEST_PATTERN:
            outcome.problems.append(f"{pattern[:80]}… is longer than {LONGEST_PATTERN} characters.")
            continue
        rows[of, pattern] = SMTPBlock(
            kind=of,
            pattern=pattern,
            direction=direction,
            description=description,
            source=source,
            created_by=actor.name[:254],
        )
        if len(rows) > MOST:
            raise Refused(f"These are more than {MOST:,} patterns.")
    present = _present_blocks(rows)
    outcome.new, outcome.present = len(rows) - len(present), len(present)
    if not rows or dry_run:
        return outcome
    lists.changed()
    SMTPBlock.objects.bulk_create([row for key, row in rows.items() if key not in present], batch_size=CHUNK // 10)
    others = [pk for pk, of in present.values() if of != direction]
    for start in range(0, len(others), CHUNK):
        SMTPBlock.objects.filter(pk__in=others[start : start + CHUNK]).update(direction=Direction.BOTH)
    names = [pattern for _, pattern in rows]
    write(actor, "smtp-block", names, **outcome.counts, direction=str(direction), description=description)
    return outcome


def _present_blocks(rows: dict[tuple[str, str], SMTPBlock]) -> dict[tuple[str, str], tuple[int, str]]:
    """Number and direction of those that are blocked already."""
    patterns = [pattern for _, pattern in rows]
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for start in range(0, len(patterns), CHUNK):
        some = SMTPBlock.objects.filter(pattern__in=patterns[start : start + CHUNK])
        for kind, pattern, pk, direction in some.values_list("kind", "pattern", "pk", "direction"):
            if (kind, pattern) in rows:
                found[kind, pattern] = (pk, direction)
    return found


def _problem_with(row: BlacklistEntry) -> str:
    try:
        network = parse_network(row.network)
    except BadNetwork as error:
        return str(error)
    if network.prefixlen == 0:
        return f"{network} is everybody."
    row.network = spell(network)
    return let_in_anyway(row)


def _present(rows: dict[str, BlacklistEntry]) -> set[str]:
    names = list(rows)
    found: set[str] = set()
    for start in range(0, len(names), CHUNK):
        some = names[start : start + CHUNK]
        found.update(BlacklistEntry.objects.filter(network__in=some).values_list("network", flat=True))
    return found


def _extend(present: list[str], protocols: set[str], expires_at: datetime | None) -> None:
    for start in range(0, len(present), CHUNK):
        rows = BlacklistEntry.objects.filter(network__in=present[start : start + CHUNK])
        rows.update(**dict.fromkeys(protocols, True))
        if expires_at is None:
            rows.filter(expires_at__isnull=False).update(expires_at=None)
        else:
            rows.filter(expires_at__lt=expires_at).update(expires_at=expires_at)
