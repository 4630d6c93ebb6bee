"""Questions to the database from the event loop's sessions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, ProgrammingError, close_old_connections

T = TypeVar("T")
# SQLite tells so only in words.
_OTHER_TABLES = re.compile(r"no such (table|column)|has no column named")


async def asked(question: Callable[..., T], *arguments: object) -> T:
    """The answer of `question`, from a thread. Raises django.db.Error and what `question` raises.

    It may be asked a second time: it only reads, or what it writes does no harm when it is written twice.
    """
    return await asyncio.get_running_loop().run_in_executor(None, ask, partial(question, *arguments))


def ask(question: Callable[[], T]) -> T:
    """The same, in this thread."""
    try:
        return question()
    except (InterfaceError, OperationalError):
        # Each thread has a connection of its own, which did not outlive a restart of the database.
        close_old_connections()
        return question()


def what_failed(error: DatabaseError) -> str:
    """For the log, in a few words: an error is not always that the database is away."""
    said = str(error).strip().partition("\n")[0]
    if isinstance(error, ProgrammingError) or _OTHER_TABLES.search(said):
        return f"the database's tables are not those of this version ({said})"
    if isinstance(error, OperationalError | InterfaceError):
        return f"the database is away ({said})"
    return f"the database refuses ({said})"
