"""From where, and by which page or command, something is done: kept beside what runs, for whoever writes it down.

A request or command says so once. A background job was begun by one of them, and its record says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Origin:
    """An IP address, and what gives the name of a page (admin:accounts_user_change) or the words of a command.

    Never what was typed: addresses of pages and arguments of commands can hold secrets.
    """

    ip: str = ""
    via: Callable[[], str] = str


_origin: ContextVar[Origin] = ContextVar("origin")


def current() -> tuple[str, str]:
    """The IP address, and the page or command; empty where nobody has said."""
    origin = _origin.get(None)
    return (origin.ip[:45], origin.via()[:100]) if origin is not None else ("", "")


@contextmanager
def coming(ip: str = "", via: Callable[[], str] = str) -> Iterator[None]:
    """What is done within is done from there."""
    token = _origin.set(Origin(ip, via))
    try:
        yield
    finally:
        _origin.reset(token)
