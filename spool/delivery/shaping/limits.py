"""The limits of sites in the database: read every few seconds by each worker, written when one changes.

All workers on all machines share them, and they are there again after all of those were killed. What several workers
report of one moment counts once: each report is applied to what is there by then.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from base.short_cache import ShortCache
from spool.delivery.shaping import pace
from spool.delivery.shaping.classes import ReplyClass
from spool.delivery.shaping.pace import NOTHING, Pace, Timing
from spool.models.destination import Destination

FRESH_SECONDS: Final = 2.0
MOST_EVIDENCE, LONGEST_EVIDENCE = 10, 300
LONGEST_SITE: Final = 255
_Number = TypeVar("_Number", int, float)
_COLUMNS: Final = ("rate", "connections", "suspended_until")


@dataclass(frozen=True, slots=True)
class Key:
    """A site, and our address that its limits are for; empty for the one that the system chooses."""

    site: str
    source: str = ""

    def __str__(self) -> str:
        """What people call it."""
        return f"{self.site} from {self.source}" if self.source else self.site


@dataclass(frozen=True, slots=True)
class Limits:
    """What is in force for a key: what was learned, below what an administrator has said."""

    learned: Pace = NOTHING
    rate_by_hand: float | None = None
    connections_by_hand: int | None = None
    suspended_by_hand: bool = False
    reason: str = ""
    note: str = ""

    def rate(self, *, is_active: bool = True) -> float | None:
        """Messages a minute, over all workers; not `is_active`: what was learned is not in force."""
        return _lower(self.learned.rate if is_active else None, self.rate_by_hand)

    def connections(self, *, is_active: bool = True) -> int | None:
        """At once, over all workers."""
        return _lower(self.learned.connections if is_active else None, self.connections_by_hand)

    def messages(self, *, is_active: bool = True) -> int | None:
        """Over one connection."""
        return self.learned.messages if is_active else None

    def suspended_until(self, now: datetime, *, is_active: bool = True) -> datetime | None:
        """None when it is not, or is over."""
        until = self.learned.suspended_until
        return until if until is not None and until > now and (is_active or self.suspended_by_hand) else None

    def is_in_force(self, now: datetime, *, is_active: bool = True) -> bool:
        """Whether anything is limited."""
        limited = self.rate(is_active=is_active) is not None or self.connections(is_active=is_active) is not None
        return limited or self.suspended_until(now, is_active=is_active) is not None


class About(StrEnum):
    """What a worker has to say of a site."""

    REFUSED = "refused"
    COHORT = "cohort"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Report:
    """A refusal, a cohort without one (COHORT), or a long time with all connections in use (BUSY).

    `took` is how many messages a minute were taken by all workers, and `open_now` how many connections they have, as
    far as one of them can tell. `again`: nothing was taken since this worker's refusal before. `carried` is how many
    messages went over the connection before.
    """

    key: Key
    about: About
    at: datetime
    is_about: ReplyClass = ReplyClass.OTHER
    took: float = 0.0
    open_now: int = 0
    again: bool = False
    carried: int = 0
    code: int = 0
    text: str = ""
    domain: str = ""
    host: str = ""

    @property
    def evidence(self) -> dict[str, Any]:
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "about": self.is_about.value,
            "code": self.code,
            "text": self.text[:LONGEST_EVIDENCE].replace("\x00", ""),
            "domain": self.domain,
            "host": self.host,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """All limits, as they were read."""

    limits: Mapping[Key, Limits] = field(default_factory=dict)


def _lower(one: _Number | None, other: _Number | None) -> _Number | None:
    return min((number for number in (one, other) if number is not None), default=None)


def key_of(site: str, source: str) -> Key:
    """The key of a site, whose name may be longer than a column: a set of MX hosts."""
    if len(site) > LONGEST_SITE:
        site = f"{site[: LONGEST_SITE - 20]}… {hashlib.blake2b(site.encode(), digest_size=8).hexdigest()}"
    return Key(site, source)


class _Rows:
    """The rows as they were when they were last read, without what only pages show.

    There may be ten thousand, and each process looks every FRESH_SECONDS: what was changed since is told by `changed`,
    which whoever writes a row sets, and only that is read and parsed again.
    """

    def __init__(self) -> None:
        self._rows: dict[int, tuple[datetime, Destination]] = {}
        self._turn = threading.Lock()

    def current(self) -> Iterator[Destination]:
        """All of them: one query, and one more for each _AT_ONCE that were changed."""
        with self._turn:
            stamps = dict(Destination.objects.values_list("pk", "changed"))
            kept = {pk: row for pk, row in self._rows.items() if stamps.get(pk) == row[0]}
            stale = [pk for pk in stamps if pk not in kept]
            for start in range(0, len(stale), _AT_ONCE):
                rows = Destination.objects.filter(pk__in=stale[start : start + _AT_ONCE]).defer("evidence")
                kept |= {row.pk: (row.changed, row) for row in rows}
            self._rows = kept
        return (row for _, row in kept.values())

    def forget(self) -> None:
        """Have all of them read again."""
        with self._turn:
            self._rows = {}


_AT_ONCE: Final = 5_000
_rows = _Rows()


def read() -> Table:
    """One query, and what was changed since the last."""
    now = timezone.now()
    found = {}
    for row in _rows.current():
        limits = limits_of(row, now)
        if limits != Limits():
            found[Key(row.site, row.source)] = limits
    return Table(found)


_cache = ShortCache(FRESH_SECONDS, read)


def cached() -> Table:
    """The limits, read at most every FRESH_SECONDS by each process. May query: not for event loops."""
    return _cache.current()


def forget_cache() -> None:
    _rows.forget()
    _cache.forget()


def apply(reports: Sequence[Report], timing: Timing = pace.TIMING, *, dry: bool = False) -> None:
    """Write down what follows from reports, in the caller's transaction. `dry`: no limit is in force meanwhile."""
    by_key: dict[Key, list[Report]] = {}
    for report in reports:
        by_key.setdefault(report.key, []).append(report)
    # In one order, whoever writes.
    for key in sorted(by_key, key=lambda key: (key.site, key.source)):
        _apply_to(key, by_key[key], timing, dry=dry)
    _cache.expire()


def after(before: Pace, report: Report, timing: Timing, *, dry: bool = False) -> Pace:
    """What was learned, with a report."""
    if report.about is About.COHORT:
        return pace.sped_up(before, report.at, timing)
    if report.about is About.BUSY:
        return pace.widened(before, report.at, timing)
    match report.is_about:
        case ReplyClass.RATE:
            # In force it would have kept the rate below; as it is not, each refusal is a first one.
            known = (
                pace.without_rate(before)
                if dry and before.paused_until and report.at >= before.paused_until
                else before
            )
            return pace.slowed(known, report.took, report.at, timing, again=report.again and not dry)
        case ReplyClass.MESSAGES:
            return pace.shortened(before, report.carried, report.at)
        case ReplyClass.CONNECTIONS:
            return pace.narrowed(before, report.open_now, report.at, timing)
        case ReplyClass.REPUTATION:
            return pace.suspended(before, report.took, report.at, timing)
    return before


def row_for_change(key: Key) -> Destination:
    """The row of a key, locked; where there is none, a new one that is not saved."""
    row = Destination.objects.select_for_update().filter(site=key.site, source=key.source).first()
    return row or Destination(site=key.site, source=key.source, since=timezone.now(), changed=timezone.now())


def learned(row: Destination) -> Pace:
    """What a row says was learned."""
    memory = {name: _value(name, value) for name, value in row.memory.items() if name in _MEMORY}
    return Pace(row.rate, row.connections, row.suspended_until, **memory)


def write_learned(row: Destination, found: Pace) -> None:
    """Put it into the row's columns; not saved."""
    values = asdict(found)
    for name in _COLUMNS:
        setattr(row, name, values.pop(name))
    row.memory = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items() if value
    }


def forget_lapsed(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: remove rows in which nothing is in force any more."""
    lapsed = [row.pk for row in Destination.objects.filter(changed__lt=now) if limits_of(row, now) == Limits()]
    Destination.objects.filter(pk__in=lapsed).delete()


_MEMORY: Final = {found.name for found in fields(Pace)} - {*_COLUMNS}
_MOMENTS: Final = {"paused_until", "hold_until", "rate_changed", "connections_changed", "refused"}


def _value(name: str, value: Any) -> Any:
    return parse_datetime(value) if name in _MOMENTS else value


def limits_of(row: Destination, now: datetime) -> Limits:
    """What is in force of a row."""
    found = pace.without_lapsed(learned(row), now)
    by_hand = bool(row.memory.get("by_hand"))
    if by_hand and (row.suspended_until is None or row.suspended_until <= now):
        by_hand = False
    if found == pace.NOTHING and row.rate_by_hand is None and row.connections_by_hand is None:
        return Limits()
    return Limits(found, row.rate_by_hand, row.connections_by_hand, by_hand, row.reason, row.note)


def _apply_to(key: Key, reports: Iterable[Report], timing: Timing, *, dry: bool) -> None:
    row = row_for_change(key)
    before = found = pace.without_lapsed(learned(row), timezone.now(), timing)
    evidence = list(row.evidence)
    for report in reports:
        found = after(found, report, timing, dry=dry)
        if report.about is About.REFUSED:
            evidence.append(report.evidence)
            row.reason = report.is_about.value
    if found == before:
        return
    if not before.limits_something:
        row.since = timezone.now()
    by_hand = row.memory.get("by_hand")
    write_learned(row, found)
    if by_hand and found.suspended_until == before.suspended_until:
        row.memory["by_hand"] = by_hand
    row.evidence = evidence[-MOST_EVIDENCE:]
    row.changed = timezone.now()
    if row.pk is None:
        # Another worker may have made it meanwhile: what it learned is as good.
        Destination.objects.bulk_create([row], ignore_conflicts=True)
    else:
        row.save()
