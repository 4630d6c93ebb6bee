"""Counting what scanners and checks did: one statement for each of them and many messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from django.utils import timezone

from spool.rows import statements
from spool.stages import StageContext

GATHERED_SECONDS: Final = 0.3


@dataclass(slots=True)
class Tallied:
    """One scanner or check in one batch."""

    name: str
    runs: int = 0
    hits: int = 0
    failures: int = 0
    seconds: float = 0.0
    error: str = ""

    def add(self, *, hit: bool, failed: bool, seconds: float, error: str = "") -> None:
        self.runs += 1
        self.hits += hit
        self.failures += failed
        self.seconds += 0.0 if failed else seconds
        if failed:
            self.error = error[:300]


class Tallies:
    """All of one batch, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Tallied] = {}

    def __getitem__(self, name: str) -> Tallied:
        return self._by_name.setdefault(name, Tallied(name))

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def values(self) -> Iterable[Tallied]:
        return self._by_name.values()


class Gathering:
    """The tallies of a stage's batches, left to be written down a few times a second at most."""

    def __init__(self) -> None:
        self.tallies = Tallies()
        self._timer: asyncio.TimerHandle | None = None
        self._later: Callable[[Callable[[], None]], None] | None = None

    def write_soon(self, context: StageContext) -> None:
        """Have what is in `tallies` written down."""
        if self._timer is None:
            self._later = context.later
            self._timer = asyncio.get_running_loop().call_later(GATHERED_SECONDS, self.write_now)

    def write_now(self) -> None:
        """Leave it for the pass's next transaction."""
        if self._timer is not None and self._later is not None:
            self._timer.cancel()
            tallies, self.tallies, self._timer = self.tallies, Tallies(), None
            self._later(partial(add_to_day, tallies, timezone.now()))


def write_down(tallies: Tallies, now: datetime) -> None:
    """Add to the counts of the day. Raises django.db.Error; they are statistics, and may be lost."""
    with statements.relaxed_transaction():
        add_to_day(tallies, now)


def add_to_day(tallies: Tallies, now: datetime) -> None:
    """The same in the caller's transaction."""
    day, moment = now.date().isoformat(), statements.db_time(now)
    rows = [
        (
            day,
            one.name[:120],
            one.runs,
            one.hits,
            one.failures,
            one.seconds,
            moment if one.runs > one.failures else None,
            moment if one.failures else None,
            moment if one.runs == one.failures else None,
            one.error,
        )
        for one in sorted(tallies.values(), key=lambda one: one.name)
    ]
    statements.execute_many(
        "INSERT INTO quarantine_checkcount (day, name, runs, hits, failures, seconds, last_answer, last_failure,"
        " failing_since, last_error) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (day, name) DO UPDATE SET runs = quarantine_checkcount.runs + excluded.runs,"
        " hits = quarantine_checkcount.hits + excluded.hits,"
        " failures = quarantine_checkcount.failures + excluded.failures,"
        " seconds = quarantine_checkcount.seconds + excluded.seconds,"
        " last_answer = COALESCE(excluded.last_answer, quarantine_checkcount.last_answer),"
        " last_failure = COALESCE(excluded.last_failure, quarantine_checkcount.last_failure),"
        " failing_since = CASE WHEN excluded.failing_since IS NULL THEN NULL"
        " ELSE COALESCE(quarantine_checkcount.failing_since, excluded.failing_since) END,"
        " last_error = CASE WHEN excluded.last_error <> '' THEN excluded.last_error"
        " ELSE quarantine_checkcount.last_error END",
        rows,
    )
