"""Whether the bucket answers, as who asks now and then for it: a look goes on beside, so that nobody waits for one."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Final

from base.background import Background
from spool.files import bucket

# How old a look may be.
_FRESH_SECONDS: Final = 20.0
# Of no object: that there is none has to be said by the bucket itself, to somebody whom it knows.
_NOTHING: Final = "probe/nothing"


@dataclass(frozen=True, slots=True)
class State:
    """What a look came to; `fault` is empty when the bucket answers."""

    fault: str
    at: float


_last: State | None = None


def fault() -> str:
    """Why the bucket can't be used, as far as is known; "" also when there is none, and before the first look."""
    if not bucket.is_set():
        return ""
    if _last is None or monotonic() - _last.at > _FRESH_SECONDS:
        looker.start()
    return _last.fault if _last is not None else ""


def look() -> None:
    """Ask it. That may take half a minute."""
    global _last
    try:
        list(bucket.pieces(_NOTHING, 1))
    except FileNotFoundError:
        found = ""
    except OSError as error:
        found = str(error)
    else:
        found = ""
    _last = State(found, monotonic())


def forget() -> None:
    """Begin anew."""
    global _last
    _last = None


looker: Final = Background("looking for the bucket", look)
