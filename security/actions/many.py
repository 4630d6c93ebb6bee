"""Listing many at once, as from a file that somebody publishes: in a few statements, with one line in the audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _lazy

from base.actions.action import Change, Refused, Target
from base.actions.inputs import Input
from base.actions.perform import perform
from base.numbers import grouped
from security import lists
from security.actions.networks import DESCRIPTION, PROTOCOLS
from security.actions.rows import CHUNK, let_in_anyway
from security.actions.senders import DIRECTION, understood
from security.addresses import BadNetwork, parse_network, spell
from security.audit import SecurityAction, written
from security.models import BlacklistEntry, Direction, Protocol, SMTPBlock, Source
from spool.actions.actor import Actor
from spool.actions.queue import moment_of

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
        text = gettext("%(new)s added, %(present)s were listed already") % {
            "new": grouped(self.new),
            "present": grouped(self.present),
        }
        return text + (
            (gettext(", %(number)s left out") % {"number": grouped(len(self.problems))}) if self.problems else ""
        )


def networks_in(text: str) -> list[str]:
    """The entries of a list as it is published: one to a line or between commas; # and ; begin a remark."""
    lines = (line.partition("#")[0].partition(";")[0] for line in text.splitlines())
    return [word for line in lines for word in line.replace(",", " ").split()]


class BlacklistMany(SecurityAction):
    """Keeps addresses and networks out."""

    name, label, icon = "blacklist-many", _lazy("Blacklist"), "block"
    kinds = ("network",)
    menu_kinds = ()
    inputs = (
        PROTOCOLS,
        DESCRIPTION,
        Input(
            "expires_at",
            _lazy("Expires"),
            "moment",
            option="--until",
            metavar="TIME",
            option_help="when the entry expires: 2h, 3d, 2026-12-31 18:00",
        ),
    )

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        expires_at = given.get("expires_at") or None
        protocols = given.get("protocols")
        return {
            **super().parameters({**given, "protocols": None}),
            "protocols": {Protocol(one).value for one in ((Protocol.SMTP,) if protocols is None else protocols)},
            "expires_at": moment_of(expires_at) if isinstance(expires_at, str) else expires_at,
            "source": given.get("source", Source.MANUAL),
            "dry_run": given.get("dry_run", False),
        }

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        wanted, expires_at, description = parameters["protocols"], parameters["expires_at"], parameters["description"]
        if not wanted:
            raise Refused(gettext("Choose at least one of SMTP and web."))
        outcome, rows = Added(), dict[str, BlacklistEntry]()
        for text in target.rows[0]:
            row = BlacklistEntry(
                network=text,
                description=description,
                source=parameters["source"],
                expires_at=expires_at,
                created_by=actor.name[:254],
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
                raise Refused(gettext("These are more than %(most)s networks.") % {"most": grouped(MOST)})
        present = _present(rows)
        outcome.new, outcome.present = len(rows) - len(present), len(present)
        if not rows or parameters["dry_run"]:
            return Change(f"{outcome}.", result=outcome)
        lists.changed()
        BlacklistEntry.objects.bulk_create(
            [row for network, row in rows.items() if network not in present], batch_size=CHUNK // 10
        )
        _extend(sorted(present), wanted, expires_at)
        entry = written("blacklist", list(rows), **outcome.counts, description=description)
        return Change(f"{outcome}.", [entry], outcome)


class SetExpiry(SecurityAction):
    """Lets entries of the blacklist end at a time, or never."""

    name, label = "expiry", _lazy("Keep out")
    recorded = "blacklist"
    kinds = ("entry",)
    menu_kinds = ()

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"expires_at": given["expires_at"]}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        rows, expires_at = target.rows[0], parameters["expires_at"]
        found = list(rows.values_list("network", flat=True))
        lists.changed()
        changed = rows.update(expires_at=expires_at)
        until = expires_at.isoformat() if expires_at else ""
        entries = [written("blacklist", found, kept_out=changed, until=until)] if changed else []
        return Change((gettext("%(changed)s kept out.") % {"changed": grouped(changed)}), entries, changed)


class BlockMany(SecurityAction):
    """Blocks senders, domains or what hosts call themselves."""

    name, label, icon = "block-many", _lazy("Block"), "unsubscribe"
    kinds = ("pattern",)
    menu_kinds = ()
    inputs = (DIRECTION, DESCRIPTION)

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().parameters(given)
        return {
            **checked,
            "direction": checked["direction"] or Direction.INBOUND.value,
            "kind": given.get("kind", ""),
            "source": given.get("source", Source.MANUAL),
            "dry_run": given.get("dry_run", False),
        }

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        direction, description = parameters["direction"], parameters["description"]
        outcome, rows = Added(), dict[tuple[str, str], SMTPBlock]()
        for text in target.rows[0]:
            try:
                of, pattern = understood(text, parameters["kind"])
            except Refused as error:
                outcome.problems.append(str(error))
                continue
            if len(pattern) > LONGEST_PATTERN:
                outcome.problems.append(
                    gettext("%(pattern)s… is longer than %(longest_pattern)s characters.")
                    % {"pattern": pattern[:80], "longest_pattern": LONGEST_PATTERN}
                )
                continue
            rows[of, pattern] = SMTPBlock(
                kind=of,
                pattern=pattern,
                direction=direction,
                description=description,
                source=parameters["source"],
                created_by=actor.name[:254],
            )
            if len(rows) > MOST:
                raise Refused(gettext("These are more than %(most)s patterns.") % {"most": grouped(MOST)})
        present = _present_blocks(rows)
        outcome.new, outcome.present = len(rows) - len(present), len(present)
        if not rows or parameters["dry_run"]:
            return Change(f"{outcome}.", result=outcome)
        lists.changed()
        SMTPBlock.objects.bulk_create([row for key, row in rows.items() if key not in present], batch_size=CHUNK // 10)
        others = [pk for pk, of in present.values() if of != direction]
        for start in range(0, len(others), CHUNK):
            SMTPBlock.objects.filter(pk__in=others[start : start + CHUNK]).update(direction=Direction.BOTH)
        names = [pattern for _, pattern in rows]
        entry = written("smtp-block", names, **outcome.counts, direction=str(direction), description=description)
        return Change(f"{outcome}.", [entry], outcome)


BLACKLIST_MANY, SET_EXPIRY, BLOCK_MANY = BlacklistMany(), SetExpiry(), BlockMany()


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
    given = {
        "protocols": protocols,
        "description": description,
        "source": source,
        "expires_at": expires_at,
        "dry_run": dry_run,
    }
    outcome: Added = perform(BLACKLIST_MANY, actor, Target.holding("network", networks), given).result
    return outcome


def set_expiry(actor: Actor, rows: QuerySet[BlacklistEntry], expires_at: datetime | None) -> int:
    """Let entries end at a time, or never; how many. Raises NotAllowed."""
    count: int = perform(SET_EXPIRY, actor, Target.holding("entry", rows), {"expires_at": expires_at}).result
    return count


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
    given = {
        "direction": direction,
        "kind": kind,
        "description": description,
        "source": source,
        "dry_run": dry_run,
    }
    outcome: Added = perform(BLOCK_MANY, actor, Target.holding("pattern", patterns), given).result
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
        return gettext("%(network)s is everybody.") % {"network": network}
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
