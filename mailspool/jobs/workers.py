"""The workers, by the signs of life that they give themselves: RQ's own record of one lapses while it is at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils import timezone

from mailspool import heartbeats
from mailspool.jobs.reading import Named, answered
from spool.monitoring.heartbeat import ALIVE_SECONDS
from spool.monitoring.heartbeat_keys import BORN, JOB, JOB_CALL, JOB_SINCE, PREFIXES, PROGRAMS, RQ_NAME

KINDS: Final[Mapping[str, str]] = {"workers": "Mail", "maintenance": "Maintenance"}


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
        return KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class Missing:
    """A machine that has such workers, by what it has said, and none of them is alive."""

    kind: str
    machine: str
    seen: datetime

    @property
    def label(self) -> str:
        return KINDS[self.kind]


def workers() -> tuple[list[Worker], list[Missing]]:
    """Those that are alive, and those that are missed. Raises RedisIsAway."""
    with answered() as client:
        keys = [(kind, key) for kind, found in heartbeats.alive(client).items() if kind in KINDS for key in found]
        with client.pipeline(transaction=False) as pipeline:
            for _, key in keys:
                pipeline.hgetall(key)
                pipeline.pttl(key)
            pipeline.hgetall(PROGRAMS)
            *answers, programs = pipeline.execute()
    now = timezone.now()
    alive = [
        _worker(kind, key, _texts(said), now - timedelta(seconds=ALIVE_SECONDS, milliseconds=-left))
        for (kind, key), said, left in zip(keys, answers[::2], answers[1::2], strict=True)
        # It may have lapsed since its key was listed.
        if said and left > 0
    ]
    return alive, _missing(_texts(programs), alive)


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


def _worker(kind: str, key: str, said: Mapping[str, str], seen: datetime) -> Worker:
    place, _, pid = key.removeprefix(PREFIXES[kind]).rpartition(":")
    return Worker(
        kind,
        place.partition(":")[0],
        pid,
        said.get(RQ_NAME, ""),
        _moment(said.get(BORN)),
        seen,
        said.get(JOB, ""),
        said.get(JOB_CALL, ""),
        _moment(said.get(JOB_SINCE)),
    )


def _missing(programs: Mapping[str, str], alive: Sequence[Worker]) -> list[Missing]:
    there = {(worker.machine, worker.kind) for worker in alive}
    found = []
    for program, said in sorted(programs.items()):
        machine, _, kind = program.partition("|")
        seen = _moment(said)
        if kind in KINDS and (machine, kind) not in there and seen is not None:
            found.append(Missing(kind, machine, seen))
    return found


def _texts(said: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in said.items()}


def _moment(seconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds and seconds.isdigit() and len(seconds) < 12 else None
