"""The workers, by the signs of life that they give themselves: RQ's own record of one lapses while it is at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.utils.translation import gettext_lazy as _lazy

from base.texts import Text
from mailspool.jobs.reading import Named
from spool.monitoring import programs
from spool.monitoring.names import JOB, JOB_CALL, JOB_SINCE, RQ_NAME
from spool.monitoring.programs import Seen

KINDS: Final[Mapping[str, Text]] = {"workers": _lazy("Mail"), "maintenance": _lazy("Maintenance")}


@dataclass(frozen=True, slots=True)
class Worker:
    """One that is alive: of a queue, on a machine, with what it is at."""

    kind: str
    machine: str
    pid: str
    rq_name: str
    born: datetime | None
    seen: datetime
    job: str
    call: str
    since: datetime | None

    @property
    def label(self) -> str:
        return str(KINDS[self.kind])


@dataclass(frozen=True, slots=True)
class Missing:
    """A machine that has such workers, by what it has said, and none of them is alive."""

    kind: str
    machine: str
    seen: datetime

    @property
    def label(self) -> str:
        return str(KINDS[self.kind])


def workers() -> tuple[list[Worker], list[Missing]]:
    """Those that are alive, and those that are missed. Raises django.db.Error."""
    seen = [one for one in programs.every() if one.kind in KINDS]
    alive = [_worker(one) for one in seen if one.is_alive]
    there = {(worker.machine, worker.kind) for worker in alive}
    last: dict[tuple[str, str], datetime] = {}
    for one in seen:
        place = (one.machine, one.kind)
        if place not in there:
            last[place] = max(last.get(place, one.seen), one.seen)
    return alive, [Missing(kind, machine, at) for (machine, kind), at in sorted(last.items())]


def at_work(alive: Sequence[Worker], running: Sequence[Named]) -> list[Worker]:
    """The workers with what RQ says that they are at, where that is newer than what they said themselves."""
    begun = {job.worker: job for job in running if job.worker}
    return [_updated(worker, begun.get(worker.rq_name)) for worker in alive]


def _updated(worker: Worker, job: Named | None) -> Worker:
    if job is None or job.at is None or (worker.since is not None and worker.since >= job.at):
        return worker
    return Worker(
        worker.kind, worker.machine, worker.pid, worker.rq_name, worker.born, worker.seen, job.id, job.call, job.at
    )


def _worker(one: Seen) -> Worker:
    said = one.shows
    return Worker(
        one.kind,
        one.machine,
        str(one.pid),
        str(said.get(RQ_NAME, "")),
        one.born,
        one.seen,
        str(said.get(JOB, "")),
        str(said.get(JOB_CALL, "")),
        _moment(said.get(JOB_SINCE)),
    )


def _moment(seconds: object) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and 0 < seconds < 10**11 else None
