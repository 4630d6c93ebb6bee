"""Systems that take turns with one kind of mail, and what each turn took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from rich.console import Console

from bench import accounting
from bench.systems import Racer
from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: so many (messages, or recipients) a second, and milliseconds of CPU for each, by process."""

    per_second: float
    cpu_ms: dict[str, float]


@dataclass
class Series:
    """All turns with one kind of mail, by system. `unit` is what is counted."""

    part: str
    mail: str
    unit: str = "messages"
    turns: dict[str, list[Turn]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Course:
    """One kind of mail: how it is handed to a system, and how much of it has arrived so far."""

    series: Series
    count: int
    send: Callable[[Racer], object]
    arrived: Callable[[Racer], int]
    # Longer than any system needs that still works.
    patience_seconds: float = 600.0


@contextmanager
def started(racers: Sequence[Racer], console: Console):  # type: ignore[no-untyped-def]
    """Have them run."""
    with ExitStack() as stack:
        for racer in racers:
            console.print(f"starting {racer.name}")
            # Before it starts: what has begun when that fails has to end, too.
            stack.callback(racer.stop)
            racer.start()
        yield


def run(course: Course, racers: Sequence[Racer], rounds: int, console: Console) -> None:
    """`rounds` turns of each; every round begins with another."""
    for number in range(rounds):
        start = number % len(racers)
        for racer in [*racers[start:], *racers[:start]]:
            turn = take_turn(course, racer)
            course.series.turns.setdefault(racer.name, []).append(turn)
            console.print(
                f"{course.series.part:12} {course.series.mail:34} {racer.name:30} {turn.per_second:8.1f}/s"
                f" {sum(turn.cpu_ms.values()):8.2f} ms CPU"
            )


def take_turn(course: Course, racer: Racer) -> Turn:
    """One turn. Its time ends when the last has arrived."""
    parts = racer.parts()
    before, goal = accounting.cpu_by_part(parts), course.arrived(racer) + course.count
    began = time.monotonic()
    course.send(racer)
    wait_until(
        lambda: course.arrived(racer) >= goal,
        f"{racer.name}: {course.series.mail}",
        course.patience_seconds,
        every=0.01,
    )
    seconds = time.monotonic() - began
    # What follows the last one is part of the work: rows and files are removed.
    time.sleep(0.5)
    after = accounting.cpu_by_part(parts)
    return Turn(course.count / seconds, {name: (after[name] - before[name]) / course.count * 1000 for name in parts})
