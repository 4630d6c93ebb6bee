"""Writing down what somebody did: one function for every room, whichever door it was done by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from django.utils import timezone

from base.audit import origin
from base.audit.models import AuditEvent
from base.audit.results import Result
from base.audit.subjects import Subject


class Who(Protocol):
    """Whoever acts, and by which door: page, shell or system."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...


def record(
    who: Who,
    action: str,
    on: str,
    outcome: str = "",
    *,
    done: int = 1,
    parameters: Mapping[str, Any] | None = None,
    about: Subject | None = None,
    result: str = Result.DONE,
) -> AuditEvent:
    """Write down what one person did to `done` things. Call it in the transaction that does it.

    `on` names them for people, `about` is the one that it was done to. `parameters` are what a sentence is made of when
    somebody looks (base.audit.sentences), under "changed" the values before and after by the names of fields; nothing
    in them is secret. An `outcome` is a sentence that stays as it is, for an action that has no code for it.
    """
    event = event_of(who, action, on, about)
    event.said, event.result = outcome[:500], result
    event.parameters = dict(parameters or {})
    event.matched = event.done = done
    event.save(force_insert=True)
    return event


def event_of(who: Who, action: str, on: str, about: Subject | None = None) -> AuditEvent:
    """The row of what is done now, not stored yet, with the door it is done by."""
    ip, via = origin.current()
    return AuditEvent(
        at=timezone.now(),
        actor=who.name[:254],
        source=who.source,
        ip=ip,
        via=via,
        action=action[:30],
        on=on[:2000],
        kind=about.kind[:40] if about else "",
        key=about.key[:320] if about else "",
        row_id=about.row_id if about else None,
    )
