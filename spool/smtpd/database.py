"""Questions to the database from the event loop's sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections

P = ParamSpec("P")
T = TypeVar("T")


async def asked(question: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """The answer of `question`, which only reads, from a thread. Raises django.db.Error and what `question` raises."""
    return await asyncio.to_thread(_ask, partial(question, *arguments, **named))


def _ask(question: Callable[[], T]) -> T:
    try:
        return question()
    except (InterfaceError, OperationalError):
        # Each thread has a connection of its own, which did not outlive a restart of the database.
        close_old_connections()
        return question()
