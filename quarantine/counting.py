"""Counting what scanners and checks did: one statement for each of them and batch of messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from spool import statements


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


def write_down(tallies: Tallies, now: datetime) -> None:
    """Add to the counts of the day. Raises django.db.Error; they are statistics, and may be lost."""
    day, moment = now.date().isoformat(), statements.db_time(now)
    rows = [
        (
            day, one.name[:120], one.runs, one.hits, one.failures, one.seconds,
            moment if one.runs > one.failures else None, moment if one.failures else None,
            moment if one.runs == one.failures else None, one.error,
        )
        for one in sorted(tallies.values(), key=lambda one: one.name)
    ]  # fmt: skip
    with statements.relaxed_transaction():
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
