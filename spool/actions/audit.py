"""The table of who did what, and what actions on many messages write into it before and after."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model
from django.utils import timezone

from base.action import Record, record
from spool.actions.actor import Actor
from spool.actions.verb import Tally
from spool.events import actions
from spool.models.audit import AuditEvent


def begin(
    actor: Actor,
    action: str,
    on: str,
    *,
    chosen: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    matched: int = 0,
) -> AuditEvent:
    """Before anything is changed."""
    return AuditEvent.objects.create(
        at=timezone.now(),
        actor=actor.name,
        source=actor.source,
        action=action,
        on=on[:2000],
        filter=chosen or {},
        parameters=parameters or {},
        matched=matched,
        outcome="Begun",
    )


def end(event: AuditEvent, tally: Tally, past: str, state: str = "") -> str:
    """What became of it; returns the sentence."""
    text = sentence(tally, past)
    event.outcome = f"{state}{text}"[:500]
    event.done, event.skipped = tally.done, tally.busy + tally.skipped
    event.matched = max(event.matched, tally.done + tally.busy + tally.skipped)
    event.save(update_fields=["outcome", "done", "skipped", "matched"])
    actions.ended(event)
    return event.outcome


def note(actor: Actor, action: str, on: str, outcome: str, *, done: int = 1) -> None:
    """What was done at once, to so many, and is over."""
    record(actor, action, on, outcome, done=done)


def last_change(row: Model) -> tuple[datetime, str] | None:
    """Who changed a row last, for who has it before them (accounts.edits). Nobody has a page open for days."""
    lately = AuditEvent.objects.filter(at__gte=timezone.now() - timedelta(days=3))
    event = lately.filter(on=str(row)).first()
    return (event.at, event.actor) if event is not None else None


def keep(sender: object, record: Record, **kwargs: Any) -> None:
    """Receiver of base.action.recorded: what is done in any room stands in this table."""
    AuditEvent.objects.create(
        at=record.at,
        actor=record.actor[:254],
        source=record.source,
        action=record.action,
        on=record.on[:2000],
        outcome=record.outcome[:500],
        parameters=record.parameters,
        matched=record.done,
        done=record.done,
    )


def sentence(tally: Tally, past: str) -> str:
    """ "11,998 deleted, 2 were being delivered"."""
    parts = [f"{tally.done:,} {past}"]
    if tally.busy:
        parts.append(f"{tally.busy:,} {'was' if tally.busy == 1 else 'were'} being delivered")
    if tally.skipped:
        parts.append(f"{tally.skipped:,} left alone ({tally.problem or 'gone already'})")
    elif tally.problem:
        parts.append(f"but {tally.problem}")
    return ", ".join(parts)
