"""What the mail log says of what people do to messages: a line for each message, and one for the action as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from base.audit.models import AuditEvent
from base.languages import in_source
from spool.events import mail_log
from spool.events.line import Value
from spool.events.mail_log import Event, id_of


class Context(Protocol):
    """On whose behalf messages are changed, as the Audit page has it; `done` is how many were before (actions.verb)."""

    @property
    def actor(self) -> str: ...

    @property
    def event_id(self) -> int: ...

    @property
    def done(self) -> int: ...


# Of an action on more messages the first have a line each; the action's own says how many they were.
MOST_LINES: Final = 10_000
# Who did what nobody asked for.
NOBODY: Final = "mailspool"


def changed(context: Context, name: str, rows: Any, **said: Value) -> None:
    """`rows`, a queryset of what has a `file_name`, were changed in the caller's transaction."""
    left = MOST_LINES - context.done
    if left > 0 and mail_log.is_on():
        named(context, name, list(rows.order_by("id").values_list("file_name", flat=True)[:left]), **said)


def named(context: Context, name: str, file_names: Sequence[str], **said: Value) -> None:
    """The same of messages by their names."""
    left = max(0, MOST_LINES - context.done)
    if mail_log.is_on():
        mail_log.after_commit(
            [Event.of(name, id_of(one), by=context.actor, action=context.event_id, **said) for one in file_names[:left]]
        )


def done_by(event: AuditEvent, name: str, file_names: Sequence[str]) -> None:
    """The same of an action that is no verb."""
    if mail_log.is_on():
        mail_log.after_commit(
            [Event.of(name, id_of(one), by=event.actor, action=event.pk) for one in file_names[:MOST_LINES]]
        )


def by_itself(name: str, file_names: Sequence[str], why: str) -> None:
    """What time or a setting did to messages, in the caller's transaction."""
    if mail_log.is_on():
        mail_log.after_commit([Event.of(name, id_of(one), by=NOBODY, why=why) for one in file_names[:MOST_LINES]])


def ended(event: AuditEvent) -> None:
    """An action as a whole, as the Audit page has it, in the caller's transaction or after it."""
    if mail_log.is_on():
        mail_log.after_commit(
            [
                Event.of(
                    "action",
                    mail_log.NO_MESSAGE,
                    action=event.pk,
                    what=event.action,
                    by=event.actor,
                    source=event.source,
                    on=event.on,
                    done=event.done,
                    skipped=event.skipped,
                    outcome=in_source(lambda: event.outcome),
                )
            ]
        )
