"""A window: what is counted for whom, and where it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from accounts.models import Metric
from throttling.subjects import Subject

SECONDS = 3600


class Window(NamedTuple):
    """What is counted for whom. A tuple, for it is looked up many times for each message."""

    subject: Subject
    metric: Metric

    @property
    def key(self) -> str:
        return f"{self.subject.kind.value}:{self.subject.name}:{self.metric.value}"


@dataclass(frozen=True, slots=True)
class State:
    """Where a window stands. The previous hour weighs less until `previous_seconds` are over; the current one becomes
    the previous one when `current_seconds` have fallen to an hour."""

    previous: int
    previous_seconds: float
    current: int
    current_seconds: float

    @property
    def used(self) -> int:
        """What counts against the limit now."""
        return math.floor(self.previous * self.previous_seconds / SECONDS) + self.current


EMPTY = State(0, 0.0, 0, 2.0 * SECONDS)
# How much more each may take.
Rooms = Mapping[Window, int]
