"""One message as the checks for spam see it, and what a check says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from spool.message.header import Header
from spool.message.header import split as split_header

HEAD_BYTES: Final = 256 * 1024
# Reading and taking apart so much takes less time than handing it to a thread and back.
SMALL_BYTES: Final = 64 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """What one check said: points (0 for no hit), a few words, or why it did not answer (`failed`).

    `busy`: its server was not even asked, for there were too many others in line.
    """

    check: str
    kind: str
    points: float = 0.0
    text: str = ""
    failed: bool = False
    seconds: float = 0.0
    busy: bool = False

    def as_json(self) -> dict[str, object]:
        return {
            "check": self.check,
            "kind": self.kind,
            "points": round(self.points, 2),
            "text": self.text,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
        }


@dataclass
class Examined:
    """Envelope, session and content. What is found out on the way to one answer is kept for the others.

    `ours`: it comes from one of us, so that nothing follows from where the client stands. `remailed`: a list's copy, in
    which the envelope is the list's, and the content is not quite its sender's any more.
    """

    path: Path
    size_bytes: int
    sender: str
    recipients: tuple[str, ...] = ()
    client_ip: str = ""
    ehlo_name: str = ""
    auth_user: str = ""
    ours: bool = False
    remailed: bool = False
    max_content_bytes: int = 4 * 1024 * 1024
    # The whole message, where it has no file.
    held: bytes | None = None
    _shared: dict[str, asyncio.Future[Any]] = field(default_factory=dict)
    _told: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def head(self) -> bytes:
        """The header lines. Raises FileNotFoundError."""
        if self.held is not None:
            return split_header(self.held[:HEAD_BYTES])[0]
        if self.is_small and self.content is not None:
            return split_header(self.content)[0]
        with self.path.open("rb") as file:
            return split_header(file.read(HEAD_BYTES))[0]

    @cached_property
    def content(self) -> bytes | None:
        """The whole message, or None when it is too large to look into. Raises FileNotFoundError."""
        if self.size_bytes > self.max_content_bytes:
            return None
        return self.path.read_bytes() if self.held is None else self.held

    @cached_property
    def fields(self) -> Header:
        """The fields of the header. Raises FileNotFoundError."""
        return Header(self.head)

    @property
    def is_small(self) -> bool:
        """Whether to look into it takes no longer than to ask a thread to."""
        return self.size_bytes <= SMALL_BYTES

    @property
    def is_gone(self) -> bool:
        """Whether there is no such message any more."""
        return self.held is None and not self.path.exists()

    async def off_loop(self, work: Callable[[], T]) -> T:
        """What `work()` gives, in a thread when the message is large enough to hold up the loop."""
        return work() if self.is_small else await asyncio.to_thread(work)

    async def once(self, name: str, work: Callable[[], Any]) -> Any:
        """What the coroutine `work()` gives, asked for but once for all checks that want it."""
        if name in self._told:
            return self._told[name]
        if name not in self._shared:
            self._shared[name] = asyncio.ensure_future(work())
        # One check that gives up must not take the answer from the others.
        return await asyncio.shield(self._shared[name])

    def tell(self, name: str, answer: Any) -> None:
        """Have `once` give this answer, which was known without asking."""
        if name not in self._shared:
            self._told[name] = answer

    def known(self, name: str) -> Any:
        """What `once` has found out under this name, or None when it has not come to that."""
        if name in self._told:
            return self._told[name]
        future = self._shared.get(name)
        if future is None or not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return future.result()

    def close(self) -> None:
        """Stop what nobody waits for any more. Who asks again hears what was found out, and has the rest tried anew."""
        for name, future in list(self._shared.items()):
            if not future.done():
                future.cancel()
                del self._shared[name]
            elif future.cancelled() or future.exception() is not None:
                del self._shared[name]


__all__ = ["Examined", "Result"]
