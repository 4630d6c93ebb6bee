"""The logger of the mail log, `mailspool.mail`, and how an event gets to it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from django.db import transaction

from spool.events.line import Value, as_text

NAME: Final = "mailspool.mail"
# In the place of a queue id, of what is about no message.
NO_MESSAGE: Final = "-"

log = logging.getLogger(NAME)


class Event:
    """What happened. As text it is its line, so that any handler of logging's can write it."""

    __slots__ = ("fields",)

    def __init__(self, name: str, queue_id: str, **fields: Value) -> None:
        self.fields: dict[str, Value] = {"id": queue_id, "event": name, **fields}

    def __str__(self) -> str:
        return as_text(self.fields)


def id_of(file_name: str) -> str:
    """The queue id: what the file is called, without its ending."""
    return file_name.removesuffix(".eml")


def is_on() -> bool:
    """Whether anybody reads it: nothing need be made up otherwise."""
    return log.isEnabledFor(logging.INFO)


def write(name: str, queue_id: str = NO_MESSAGE, /, **fields: Value) -> None:
    """Log one event, which has happened already. Never raises, never waits."""
    if log.isEnabledFor(logging.INFO):
        write_all([Event(name, queue_id, **fields)])


def after_commit(events: Sequence[Event]) -> None:
    """Log events when the transaction that the caller is in has been committed; none of them if it is not."""
    if events:
        transaction.on_commit(lambda: write_all(events), robust=True)


def write_all(events: Iterable[Event]) -> None:
    """Log events in their order."""
    for event in events:
        # Not log.info(): that looks for the calling line each time, and nobody wants to know it.
        log.handle(logging.LogRecord(NAME, logging.INFO, "", 0, event, None, None))
