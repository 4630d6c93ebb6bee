"""What one look has found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: a fault keeps mail from flowing or from being safe, a warning may be meant so."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """`sentence` says what is so and, where something is wrong, what to do about it."""

    level: Level
    subject: str
    sentence: str


Look = Callable[[], Iterable[Finding]]


def ok(subject: str, sentence: str) -> Finding:
    return Finding(Level.OK, subject, sentence)


def warning(subject: str, sentence: str) -> Finding:
    return Finding(Level.WARNING, subject, sentence)


def fault(subject: str, sentence: str) -> Finding:
    return Finding(Level.FAULT, subject, sentence)


def first_line(error: BaseException) -> str:
    """What an error says, as a part of a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
