"""What each machine is at now, put together from its row and its programs'; and what is asked of machines.

States: *running*; *draining*, it takes nothing new and finishes what it has; *drained*, it has nothing more in hand;
*stopped*, its programs have ended in order; *missed*, they have not, and give no sign of life.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from base.numbers import grouped
from spool.models.machine import Duty, Machine, Program
from spool.monitoring import calls, programs
from spool.monitoring.heartbeat import MOST_FILES
from spool.monitoring.names import (
    ADDRESSES,
    CONNECTIONS,
    CONSOLE,
    DELIVERED,
    DRAIN,
    FILES,
    FREE_MB,
    HOME,
    KINDS,
    LEASES,
    LOAD,
    TAKEN,
)
from spool.monitoring.programs import Seen

# A page and a metric show so many.
MOST: Final = 200


class MachineState(StrEnum):
    RUNNING = "running"
    DRAINING = "draining"
    DRAINED = "drained"
    STOPPED = "stopped"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class MachineView:
    """One machine, at one moment."""

    name: str
    since: datetime
    drain_since: datetime | None
    drain_by: str
    state: MachineState
    seen: datetime | None
    # By kind, those that are alive.
    programs: dict[str, int]
    versions: tuple[str, ...]
    addresses: tuple[str, ...]
    connections: int
    taken: int
    delivered: int
    leases: int
    load: float | None
    free_mb: int | None
    # While it drains: what its programs still have in hand, and message files that no other machine has.
    busy: int
    files: int
    # Kinds that have died and are not there any more.
    missing: tuple[str, ...]

    @property
    def drains(self) -> bool:
        return self.drain_since is not None

    @property
    def is_alive(self) -> bool:
        return self.state not in (MachineState.STOPPED, MachineState.MISSED)

    @property
    def free_bytes(self) -> int | None:
        return None if self.free_mb is None else self.free_mb * 1024 * 1024

    @property
    def files_text(self) -> str:
        return f"{self.files:,}{' or more' if self.files >= MOST_FILES else ''}"

    @property
    def left(self) -> str:
        """What stands between it and being drained; empty when nothing does."""
        if self.state is not MachineState.DRAINING:
            return ""
        parts = (
            [
                ngettext("%(leases)s message in work", "%(leases)s messages in work", self.leases)
                % {"leases": grouped(self.leases)}
            ]
            if self.leases
            else []
        )
        if self.files:
            said = ngettext(
                "%(number)s message has its file on its disk alone",
                "%(number)s messages have their files on its disk alone",
                self.files,
            )
            parts.append(said % {"number": self.files_text})
        if not parts:
            parts.append(_("its programs end what they are at"))
        return ", ".join(parts)


def every() -> list[MachineView]:
    """All machines that are known, by name, MOST at most: two queries. Raises django.db.Error."""
    by_machine: dict[str, list[Seen]] = {}
    for one in programs.every():
        by_machine.setdefault(one.machine, []).append(one)
    taking_homes = Counter(
        home for name, some in by_machine.items() for home in {one.shows.get(HOME, "") for one in some if _takes(one)}
    )
    return [_view(row, by_machine.get(row.name, ()), taking_homes) for row in Machine.objects.order_by("name")[:MOST]]


def named(name: str) -> MachineView | None:
    """One machine. Raises django.db.Error."""
    return next((one for one in every() if one.name == name), None)


def drain(name: str, by: str) -> bool:
    """Have a machine take nothing new from now on; False when it was asked to already. Raises django.db.Error."""
    drains = bool(Machine.objects.filter(name=name, drain_since=None).update(drain_since=Now(), drain_by=by[:320]))
    _call()
    return drains


def resume(name: str) -> bool:
    """Have it take mail again; False when it does. Raises django.db.Error."""
    takes = bool(Machine.objects.filter(name=name).exclude(drain_since=None).update(drain_since=None, drain_by=""))
    _call()
    return takes


def _call() -> None:
    """Have its programs look, as soon as they can see it."""
    transaction.on_commit(calls.call)


def forget(name: str) -> None:
    """Remove all that is known of a machine. Raises django.db.Error."""
    Program.objects.filter(machine=name).delete()
    Machine.objects.filter(name=name).delete()


def forget_all() -> None:
    """Remove all that is known of machines: it is of another time. Raises django.db.Error."""
    for model in (Program, Machine, Duty):
        model.objects.all().delete()


def _takes(one: Seen) -> bool:
    return one.is_alive and not one.drains


def _view(row: Machine, seen: Sequence[Seen], taking_homes: Counter[str]) -> MachineView:
    alive = [one for one in seen if one.is_alive]
    newest = max(seen, key=lambda one: one.seen, default=None)
    measured = max((one for one in alive if LOAD in one.shows), key=lambda one: one.seen, default=None)
    kinds = Counter(one.kind for one in alive)
    files = _files(alive, taking_homes)
    busy = sum(one.busy for one in alive if one.kind != CONSOLE)
    return MachineView(
        name=row.name,
        since=row.since,
        drain_since=row.drain_since,
        drain_by=row.drain_by,
        state=_state(row, seen, alive, busy + files),
        seen=newest.seen if newest is not None else None,
        programs={kind: kinds[kind] for kind in KINDS if kinds[kind]},
        versions=tuple(sorted({one.version for one in alive})),
        addresses=tuple(sorted({word for one in alive for word in str(one.shows.get(ADDRESSES, "")).split()})),
        connections=_sum(alive, CONNECTIONS),
        taken=_sum(alive, TAKEN),
        delivered=_sum(alive, DELIVERED),
        leases=_sum(alive, LEASES),
        load=measured.shows.get(LOAD) if measured is not None else None,
        free_mb=measured.shows.get(FREE_MB) if measured is not None else None,
        busy=busy,
        files=files,
        missing=tuple(sorted({one.kind for one in seen if not one.is_alive and not kinds[one.kind]})),
    )


def _state(row: Machine, seen: Sequence[Seen], alive: Sequence[Seen], left: int) -> MachineState:
    if not alive:
        return MachineState.MISSED if seen else MachineState.STOPPED
    if row.drain_since is None:
        return MachineState.RUNNING
    # Of this drain: one that was resumed a moment ago may still tell of that before.
    drain = programs.drain_named(row.drain_since)
    know = all(one.drains and one.shows.get(DRAIN) == drain for one in alive if one.kind != CONSOLE)
    # What one that died had under lease is with others when it is missed: leases are no longer than that.
    return MachineState.DRAINED if know and not left else MachineState.DRAINING


def _files(alive: Sequence[Seen], taking_homes: Counter[str]) -> int:
    """Message files in a home that no machine has that takes mail: only from there they can be delivered."""
    alone = [one for one in alive if not taking_homes[one.shows.get(HOME, "")]]
    return max((int(one.shows.get(FILES, 0)) for one in alone), default=0)


def _sum(alive: Sequence[Seen], name: str) -> int:
    return sum(int(one.shows.get(name, 0)) for one in alive)
