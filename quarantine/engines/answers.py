"""What an engine said about one message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class EngineFailed(Exception):
    """The engine gave no answer that makes sense; the sentence says why."""


class Said(Enum):
    """The three things a scanner can say."""

    CLEAN = "clean"
    INFECTED = "infected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is the signature of what was found, or why there is no answer; `engine` names who said it."""

    engine: str
    said: Said
    text: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        return {"engine": self.engine, "said": self.said.value, "text": self.text, "seconds": round(self.seconds, 3)}
