"""Counting TLS sessions for reports (RFC 8460): in memory by the loop, and into a table with what else is written then.

No message waits for it, and none costs a query: what a worker has counted in some seconds is one statement.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final

from django.db import connection
from django.db.models import Field

from spool.delivery.remote.tls_results import Result, Session, Told
from spool.models.tls_report import TLSSessions

log = logging.getLogger(__name__)

# Has something called in a transaction soon, and again when that failed.
Later = Callable[[Callable[[], None]], None]

WRITE_SECONDS: Final = 5.0
# In memory; what would be more is not counted.
MOST_WAITING: Final = 20_000
LONGEST_REASON: Final = 200
_AT_ONCE: Final = 500
_COLUMNS: Final = (
    "day",
    "domain",
    "policy_type",
    "policy_key",
    "policy_strings",
    "policy_mx",
    "result",
    "host",
    "ip",
    "source",
    "reason",
    "count",
)
_KEY: Final = ("day", "domain", "policy_type", "policy_key", "result", "host")
_NEWEST: Final = ("policy_strings", "ip", "source", "reason")
_INSERT: Final = f"INSERT INTO spool_tlssessions ({', '.join(_COLUMNS)})"
_ONE: Final = f"({', '.join(['%s'] * len(_COLUMNS))})"
_OR_ADD: Final = (
    f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET count = spool_tlssessions.count + excluded.count, "
    + ", ".join(f"{name} = excluded.{name}" for name in _NEWEST)
)


@dataclass(frozen=True, slots=True)
class _Key:
    """What is counted together."""

    day: date
    domain: str
    policy_type: str
    policy_key: str
    result: str
    host: str


class Sessions:
    """What one worker has counted. Loop thread only, but for what is written."""

    def __init__(self, later: Later | None = None) -> None:
        self._later = later
        self._waiting: dict[_Key, tuple[Session, int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_on = False

    def configure(self, *, is_on: bool) -> None:
        """Whether reports are to be made."""
        self._is_on = is_on and self._later is not None

    @property
    def told(self) -> Told | None:
        """What is to be told of sessions, None when nothing is."""
        return self.count if self._is_on else None

    def count(self, session: Session) -> None:
        """One more such session, now. Never raises: no mail waits for a report."""
        try:
            if self._is_on:
                self._add(session)
        except Exception:  # the edge of counting
            log.exception("a TLS session with %s was not counted", session.host)

    def _add(self, session: Session) -> None:
        is_good = session.result is Result.GOOD
        key = _Key(
            datetime.now(UTC).date(),
            session.domain[:255],
            session.policy.kind,
            session.policy.key,
            session.result,
            "" if is_good else session.host[:255],
        )
        known = self._waiting.get(key)
        if known is None and len(self._waiting) >= MOST_WAITING:
            return
        self._waiting[key] = session, (known[1] if known else 0) + 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self.write)

    def write(self) -> None:
        """Have what was counted written down soon."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._later is not None:
            counted, self._waiting = self._waiting, {}
            self._later(lambda: remember(counted))


def remember(counted: Mapping[_Key, tuple[Session, int]]) -> None:
    """Add them to what was counted before, in the caller's transaction."""
    # Sorted: transactions must not wait for each other.
    rows = [_row(key, *counted[key]) for key in sorted(counted, key=repr)]
    for start in range(0, len(rows), _AT_ONCE):
        _add(rows[start : start + _AT_ONCE])


def _row(key: _Key, session: Session, count: int) -> list[object]:
    policy, is_good = session.policy, key.result == ""
    last = ["", "", ""] if is_good else [session.ip[:45], session.source[:45], session.reason[:LONGEST_REASON]]
    said = [list(policy.strings), list(policy.mx)]
    return [key.day, key.domain, key.policy_type, key.policy_key, *said, key.result, key.host, *last, count]


def _add(rows: Sequence[list[object]]) -> None:
    values = [
        field.get_db_prep_save(value, connection) for row in rows for field, value in zip(_fields(), row, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"{_INSERT} VALUES {', '.join([_ONE] * len(rows))} {_OR_ADD}", values)


@cache
def _fields() -> list[Field[Any, Any]]:
    named = {field.name: field for field in TLSSessions._meta.concrete_fields}
    return [named[name] for name in _COLUMNS]
