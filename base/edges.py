"""The edge of one among many: what it makes fail is its own affair, and the others have their turn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.db import InterfaceError, OperationalError

# The database is away: none of the many is to blame.
OUTAGES: Final = (OperationalError, InterfaceError)


@dataclass(slots=True)
class Edge:
    """What became of one."""

    has_failed: bool = False


@contextmanager
def one_of_many(log: logging.Logger, said: str, *names: object, seldom: bool = False) -> Iterator[Edge]:
    """Within it, the work on one: whatever that raises is logged as `said` of `names`, with its traceback.

    Raises OUTAGES. `seldom` is for what comes again every few seconds.
    """
    edge = Edge()
    options: dict[str, Any] = {"extra": {"seldom": True}} if seldom else {}
    try:
        yield edge
    except OUTAGES:
        raise
    except Exception:  # as its name says
        edge.has_failed = True
        log.exception(said, *names, **options)
