"""Many things in runs that fit a statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """`items` in order, `size` at a time (as itertools has it from Python 3.12 on)."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
