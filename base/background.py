"""Work that waits for strangers (the DNS, web servers), beside a sweep that others' mail may depend on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from django.db import connection

log = logging.getLogger(__name__)

A = TypeVar("A")
B = TypeVar("B")


class Background:
    """One piece of work, in a thread of its own, which no process waits for when it ends."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Have it done, unless it is being done."""
        if not self.is_running:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it is being done."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Until it is done, but no longer."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._work()
        except Exception:  # the edge of a thread: the next sweep begins anew
            log.exception("%s failed", self._name, extra={"seldom": True})
        finally:
            connection.close()


def at_once(work: Callable[[A], B], items: Iterable[A], threads: int) -> list[B]:
    """What `work` makes of each, in their order, by so many threads that no process waits for. It must not raise."""
    todo = list(enumerate(items))
    results: dict[int, B] = {}
    left: Iterator[tuple[int, A]] = iter(todo)
    lock = threading.Lock()

    def take() -> None:
        while True:
            with lock:
                found = next(left, None)
            if found is None:
                return
            results[found[0]] = work(found[1])

    running = [threading.Thread(target=take, daemon=True) for _ in range(min(threads, len(todo)))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return [results[number] for number, _ in todo]
