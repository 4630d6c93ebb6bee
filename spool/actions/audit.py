"""What actions on many messages write down before and after: one row of the audit for each, however many they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from base.action import Who, event_of, record
from base.audit.models import AuditEvent
from base.audit.results import Result
from base.audit.subjects import Subject
from spool.actions.actor import Actor
from spool.actions.verb import Tally
from spool.events import actions


def begin(
    actor: Who,
    action: str,
    on: str,
    *,
    chosen: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    matched: int = 0,
    about: Subject | None = None,
) -> AuditEvent:
    """Before anything is changed."""
    event = event_of(actor, action, on, about)
    event.filter, event.parameters = chosen or {}, parameters or {}
    event.matched, event.result = matched, Result.BEGUN
    event.save(force_insert=True)
    return event


def end(event: AuditEvent, tally: Tally, *, result: Result = Result.DONE, **parameters: Any) -> str:
    """What became of it, with further `parameters`; returns the sentence."""
    left = {"busy": tally.busy, "problem": tally.problem, **parameters}
    event.parameters = {**event.parameters, **{name: value for name, value in left.items() if value}}
    event.result, event.said = result, ""
    event.done, event.skipped = tally.done, tally.busy + tally.skipped
    event.matched = max(event.matched, tally.done + tally.busy + tally.skipped)
    event.save(update_fields=["result", "said", "parameters", "done", "skipped", "matched"])
    actions.ended(event)
    return event.outcome


def note(
    actor: Actor, action: str, on: str, outcome: str = "", *, done: int = 1, parameters: Mapping[str, Any] | None = None
) -> None:
    """What was done at once, to so many, and is over."""
    record(actor, action, on, outcome, done=done, parameters=parameters)
