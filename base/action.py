"""Writing down what somebody did: one function for every room, whichever door it was done by.

Who keeps the record listens to `recorded`. It is sent within the transaction of the change: one is never there without
the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.dispatch import Signal
from django.utils import timezone

# Sent with `record`, a Record.
recorded = Signal()


class Who(Protocol):
    """Whoever acts, and by which door: page, shell or system."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that one person did to `done` things.

    `outcome` is its sentence, `parameters` what a program can read of it: under "changed" the values before and after
    by the names of fields. Nothing in it is secret.
    """

    at: datetime
    actor: str
    source: str
    action: str
    on: str
    outcome: str
    done: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)


def record(
    who: Who, action: str, on: str, outcome: str, *, done: int = 1, parameters: Mapping[str, Any] | None = None
) -> Record:
    """Write down what was done. Call it in the transaction that does it."""
    written = Record(timezone.now(), who.name, who.source, action, on, outcome, done, parameters or {})
    recorded.send(sender=Record, record=written)
    return written
