"""Which hosts rest because they did not answer, by address. Kept by the process: passes come and go."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from spool.delivery.replies import WAITS_FOR_HOST, error_group

LONGEST_SECONDS = 3600.0
MOST_KEPT = 10_000
# So many domains are remembered whose mail waits for one host, and so many texts that it was told.
MOST_DOMAINS, MOST_TEXTS = 1000, 20


@dataclass(slots=True)
class Rest:
    """`until` is of the monotonic clock. `reason` is what the last connection failed of."""

    until: float
    seconds: float
    reason: str
    # Whose mail waits for it, and what that was told, as it is grouped by (Entry.error_group).
    domains: set[str] = field(default_factory=set)
    error_groups: set[str] = field(default_factory=set)

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
        if len(self.domains) < MOST_DOMAINS:
            self.domains.add(domain)
        if len(self.error_groups) < MOST_TEXTS:
            self.error_groups.add(error_group(text))


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
    if last is not None:
        rest.domains, rest.error_groups = last.domains, last.error_groups
    return rest


def end(key: str) -> Rest | None:
    """The host has answered: its last rest, which is over for whoever knows of it; None when it had none."""
    rest = _rests.pop(key, None)
    if rest is not None:
        rest.until = 0.0
    return rest


def forget() -> None:
    """Have every host tried again at once."""
    _rests.clear()


def _prune() -> None:
    """Drop what is over; if that is not enough, all: a rest forgotten costs one connection."""
    for key in [key for key, rest in _rests.items() if not rest.running]:
        del _rests[key]
    if len(_rests) >= MOST_KEPT:
        _rests.clear()
