"""What one look has found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from base.facts import Fact


class Level(StrEnum):
    """How bad it is: a fault keeps mail from flowing or from being safe, a warning may be meant so."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """`said` is what is so and, where something is wrong, what to do about it.

    What the first steps show is a fact, for whoever looks; what only administrators of the machine see is in English.
    """

    level: Level
    subject: str
    said: str | Fact

    @property
    def sentence(self) -> str:
        """What is said, in the language that is active."""
        return str(self.said)


Look = Callable[[], Iterable[Finding]]


def ok(subject: str, said: str | Fact) -> Finding:
    return Finding(Level.OK, subject, said)


def warning(subject: str, said: str | Fact) -> Finding:
    return Finding(Level.WARNING, subject, said)


def fault(subject: str, said: str | Fact) -> Finding:
    return Finding(Level.FAULT, subject, said)


def first_line(error: BaseException) -> str:
    """What an error says, as a part of a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
