"""Which hosts rest because they did not answer, by address. Kept by the process: passes come and go."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

LONGEST_SECONDS = 3600.0
MOST_KEPT = 10_000


@dataclass(slots=True)
class Rest:
    """`until` is of the monotonic clock. `reason` is what the last connection failed of."""

    until: float
    seconds: float
    reason: str

    @property
    def running(self) -> bool:
        return time.monotonic() < self.until

    @property
    def reply(self) -> str:
        """What is said of a message that comes meanwhile."""
        until = datetime.now(UTC) + timedelta(seconds=self.until - time.monotonic())
        return f"{self.reason}; not tried again before {until:%H:%M:%S} UTC"


_rests: dict[str, Rest] = {}


def of(key: str) -> Rest | None:
    """The host's last rest, running or over; None when it has answered since."""
    return _rests.get(key)


def begin(key: str, first_seconds: float, reason: str) -> Rest:
    """Let the host rest: twice as long as the last time, up to an hour."""
    last = _rests.get(key)
    seconds = min(max(first_seconds, last.seconds * 2 if last else 0.0), LONGEST_SECONDS)
    if len(_rests) >= MOST_KEPT:
        _prune()
    rest = _rests[key] = Rest(time.monotonic() + seconds, seconds, reason)
    return rest


def end(key: str) -> None:
    """The host has answered. Whoever knows of its rest sees that it is over."""
    rest = _rests.pop(key, None)
    if rest is not None:
        rest.until = 0.0


def forget() -> None:
    """Have every host tried again at once."""
    _rests.clear()


def _prune() -> None:
    """Drop what is over; if that is not enough, all: a rest forgotten costs one connection."""
    for key in [key for key, rest in _rests.items() if not rest.running]:
        del _rests[key]
    if len(_rests) >= MOST_KEPT:
        _rests.clear()
