"""The logger of the mail log, `mailspool.mail`, and how an event gets to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final

from django.db import transaction

from base import machine
from spool.events.line import Value, as_text

NAME: Final = "mailspool.mail"
# In the place of a queue id, of what is about no message.
NO_MESSAGE: Final = "-"

log = logging.getLogger(NAME)


class Event:
    """What happened, and when. As text it is its line, so that any handler of logging's can write it."""

    __slots__ = ("at", "fields")

    def __init__(self, fields: dict[str, Value]) -> None:
        """`fields` begin with `id` and `event`, behind which the machine stands where there are several."""
        self.at = time.time()
        here = machine.noted()
        self.fields = fields if not here else {"id": fields["id"], "event": fields["event"], "machine": here, **fields}

    @classmethod
    def of(cls, name: str, queue_id: str, /, **fields: Value) -> Event:
        """The event called `name`, of the message with that id."""
        return cls({"id": queue_id, "event": name, **fields})

    def __str__(self) -> str:
        return as_text(self.fields)

    def as_record(self) -> logging.LogRecord:
        """The event for handlers that know nothing of events."""
        # Not made by log.info(): that looks for the calling line each time, and nobody wants to know it.
        record = logging.LogRecord(NAME, logging.INFO, "", 0, self, None, None)
        record.created, record.msecs = self.at, self.at % 1 * 1000
        return record


class EventHandler(logging.Handler):
    """A handler that takes events as they are: a record for each would cost more than all the rest."""

    def take(self, events: Iterable[Event]) -> None:
        raise NotImplementedError


def id_of(file_name: str) -> str:
    """The queue id: what the file is called, without its ending."""
    return file_name.removesuffix(".eml")


def is_on() -> bool:
    """Whether anybody reads it: nothing need be made up otherwise."""
    return log.isEnabledFor(logging.INFO)


def write(name: str, queue_id: str = NO_MESSAGE, /, **fields: Value) -> None:
    """Log one event, which has happened already. Never raises, never waits."""
    if log.isEnabledFor(logging.INFO):
        write_all((Event.of(name, queue_id, **fields),))


def after_commit(events: Sequence[Event]) -> None:
    """Log events when the transaction that the caller is in has been committed; none of them if it is not."""
    if events:
        transaction.on_commit(lambda: write_all(events), robust=True)


def write_all(events: Iterable[Event]) -> None:
    """Log events in their order."""
    handlers = log.handlers
    if len(handlers) == 1 and isinstance(handlers[0], EventHandler) and not log.filters and not handlers[0].filters:
        handlers[0].take(events)
        return
    for event in events:
        log.handle(event.as_record())
