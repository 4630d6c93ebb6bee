"""Which hosts rest because they did not answer, by address. Kept by the process: passes come and go.

All workers share them by the database (spool.delivery.remote.rests), where they outlive every process: `news` is what
is to be written there, and `learn` takes what others have written. Loop thread only.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from base.expiring import ExpiringDict
from spool.delivery.replies import WAITS_FOR_HOST, error_group

LONGEST_SECONDS = 3600.0
MOST_KEPT = 10_000
# So many domains are remembered whose mail waits for one host, and so many texts that it was told.
MOST_DOMAINS, MOST_TEXTS = 1000, 20
# How often it is written down whose mail waits, and for how long it is known here that a host has answered.
NOTE_SECONDS, ENDED_SECONDS = 10.0, 300.0


@dataclass(frozen=True, slots=True)
class Known:
    """A rest as all workers know it. `seconds` 0: the host has answered."""

    name: str
    until: datetime
    seconds: float
    reason: str
    domains: frozenset[str]
    error_groups: frozenset[str]
    changed: datetime


@dataclass(slots=True)
class Rest:
    """`until` is of the monotonic clock. `reason` is what the last connection failed of. Without a `name` it is this
    process' own.
    """

    until: float
    seconds: float
    reason: str
    # Whose mail waits for it, and what that was told, as it is grouped by (Entry.error_group).
    domains: set[str] = field(default_factory=set)
    error_groups: set[str] = field(default_factory=set)
    name: str = ""
    changed: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def running(self) -> bool:
        return time.monotonic() < self.until

    @property
    def reply(self) -> str:
        """What is said of a message that comes meanwhile. Until when it waits is said by its next attempt."""
        return f"{WAITS_FOR_HOST}{self.reason}"

    @property
    def ends(self) -> datetime:
        """`until`, as a time of day."""
        return datetime.now(UTC) + timedelta(seconds=self.until - time.monotonic())

    def note(self, domain: str, text: str) -> None:
        """Mail for `domain` waits for this host, and was told so."""
        if domain not in self.domains and len(self.domains) < MOST_DOMAINS:
            self.domains.add(domain)
            if self.name:
                _noted.add(self.name)
        if len(self.error_groups) < MOST_TEXTS:
            self.error_groups.add(error_group(text))


_rests: dict[str, Rest] = {}
# What is to be written: the names of hosts that rest or have answered, and of those of which more was noted.
_changed: set[str] = set()
_noted: set[str] = set()
_noted_since = 0.0
# Since when they answer.
_ended: ExpiringDict[str, datetime] = ExpiringDict(ENDED_SECONDS)


def of(key: str) -> Rest | None:
    """The host's last rest, running or over; None when it has answered since."""
    return _rests.get(key)


def begin(key: str, first_seconds: float, reason: str, *, alone: bool = False) -> Rest:
    """Let the host rest: twice as long as the last time, up to an hour. `alone`: in this process only."""
    last = _rests.get(key)
    seconds = min(max(first_seconds, last.seconds * 2 if last else 0.0), LONGEST_SECONDS)
    if len(_rests) >= MOST_KEPT:
        _prune()
    rest = _rests[key] = Rest(time.monotonic() + seconds, seconds, reason, name="" if alone else key)
    if last is not None:
        rest.domains, rest.error_groups = last.domains, last.error_groups
    if rest.name:
        _changed.add(key)
    return rest


def end(key: str) -> Rest | None:
    """The host has answered: its last rest, which is over for whoever knows of it; None when it had none."""
    rest = _rests.pop(key, None)
    if rest is not None:
        rest.until = 0.0
        if rest.name:
            _ended.keep(key, datetime.now(UTC))
            _changed.add(key)
    return rest


def news() -> list[Known]:
    """What others don't know yet; it is told once."""
    global _noted_since
    if _noted and time.monotonic() - _noted_since >= NOTE_SECONDS:
        _noted_since = time.monotonic()
        _changed.update(_noted)
        _noted.clear()
    if not _changed:
        return []
    found = [known for name in _changed if (known := _known(name)) is not None]
    _changed.clear()
    return found


def learn(rests: Iterable[Known]) -> None:
    """Take over what others know better."""
    for known in rests:
        mine, answered = _rests.get(known.name), _ended.get(known.name)
        if (mine is not None and mine.changed >= known.changed) or (answered is not None and answered >= known.changed):
            continue
        if not known.seconds:
            if mine is not None:
                mine.until = 0.0
                del _rests[known.name]
            continue
        left = min((known.until - datetime.now(UTC)).total_seconds(), LONGEST_SECONDS)
        if mine is None:
            if len(_rests) >= MOST_KEPT:
                _prune()
            mine = _rests[known.name] = Rest(0.0, 0.0, "", name=known.name)
        mine.until, mine.seconds, mine.reason = time.monotonic() + left, known.seconds, known.reason
        mine.domains |= known.domains
        mine.error_groups |= known.error_groups
        mine.changed = known.changed


def forget() -> None:
    """Have every host tried again at once."""
    _rests.clear()
    _changed.clear()
    _noted.clear()
    _ended.clear()


def _known(name: str) -> Known | None:
    rest = _rests.get(name)
    if rest is not None:
        domains, groups = frozenset(rest.domains), frozenset(rest.error_groups)
        return Known(name, rest.ends, rest.seconds, rest.reason, domains, groups, rest.changed)
    answered = _ended.get(name)
    return Known(name, answered, 0.0, "", frozenset(), frozenset(), answered) if answered is not None else None


def _prune() -> None:
    """Drop what is over; if that is not enough, all: a rest forgotten costs one connection."""
    for key in [key for key, rest in _rests.items() if not rest.running]:
        del _rests[key]
    if len(_rests) >= MOST_KEPT:
        _rests.clear()
