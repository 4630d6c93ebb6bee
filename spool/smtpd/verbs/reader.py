"""Reading a message off the wire in large pieces, and what makes it unacceptable whatever its size."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from spool.files import incoming, store

log = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024
# A message up to this size stays in memory until it is committed; a larger one goes to disk as it comes, so much of it
# at a time.
IN_MEMORY_BYTES = 256 * 1024
# How much of a message that is too large is read to the end for a proper answer.
TOLERATED_BYTES = 100 * 1024 * 1024
LONGEST_LINE = 64 * 1024
END = b"\r\n.\r\n"

BARE_LINE_END = "550 5.6.11 The message has a CR or LF on its own; end each line with CRLF and send it again"
NUL_BYTE = "550 5.6.0 The message has a NUL byte; encode binary content and send it again"
DISK_FULL = "452 4.3.1 The server's disk is full; try again later"
DISK_FAILED = "451 4.3.0 The message could not be stored; try again later"
LINE_TOO_LONG = "550 5.6.0 The message has a line of more than 64 KB; encode the content and send it again"


class TooSlow(Exception):
    """The message comes so slowly that its client only keeps a connection busy."""


class TooMuch(Exception):
    """The client went on far beyond the size limit; the connection is of no use any more."""


def _nothing(head: bytes) -> bytes:
    return b""


class Body:
    """A message as it arrives: in memory while small, in the spool's incoming folder beyond.

    `top` makes the lines that go before it, of the beginning of the message, which has its whole header: a message that
    has more header than CHUNK_BYTES is one that nobody takes.
    """

    def __init__(self, limit_bytes: int, top: Callable[[bytes], bytes] = _nothing) -> None:
        self._limit = limit_bytes
        self._top = top
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._file: Path | None = None
        # It notes which line ends it has seen, five times as fast as counting them.
        self._line_ends = io.IncrementalNewlineDecoder(None, translate=False)
        self._line_bytes = 0
        self.size = 0
        self.head = b""
        self.eight_bit = False
        self.problem = ""

    async def add(self, piece: bytes) -> None:
        """Take the next piece of the message, already unstuffed; sets `problem` to the reply it deserves."""
        self.size += len(piece)
        if self.size > self._limit:
            self.problem = self.problem or f"552 5.3.4 The message is larger than the limit of {self._limit} bytes"
            self.discard()
            if self.size > self._limit + TOLERATED_BYTES:
                raise TooMuch
            return
        if not self.problem:
            self.problem = self._examine(piece)
        if self.problem:
            self.discard()
            return
        self.eight_bit = self.eight_bit or not piece.isascii()
        if len(self.head) < CHUNK_BYTES:
            self.head += piece[: CHUNK_BYTES - len(self.head)]
        self._parts.append(piece)
        self._parts_bytes += len(piece)
        if self._parts_bytes > IN_MEMORY_BYTES:
            try:
                await self._spill()
            except OSError as error:
                # What is still to come is read and forgotten, so that the client gets a reply.
                log.error("a message could not be written while it came in: %s", error)
                self.problem = refusal_for(error)
                self.discard()

    def _examine(self, piece: bytes) -> str:
        if b"\0" in piece:
            return NUL_BYTE
        # A CR at the very end may yet be followed by its LF.
        self._line_ends.decode(str(piece, "latin-1"))
        if self._has_bare():
            return BARE_LINE_END
        return "" if self._lines_fit(piece) else LINE_TOO_LONG

    def _has_bare(self) -> bool:
        """Whether a CR or LF stands alone."""
        return self._line_ends.newlines not in (None, "\r\n")

    def _lines_fit(self, piece: bytes) -> bool:
        """Whether no line is too long, by a look at one line end in each LONGEST_LINE bytes."""
        start = -self._line_bytes
        while len(piece) - start > LONGEST_LINE:
            end = piece.rfind(b"\n", max(start, 0), start + LONGEST_LINE + 1)
            if end < 0:
                return False
            start = end + 1
        end = piece.rfind(b"\n", max(start, 0))
        self._line_bytes = len(piece) - (end + 1 if end >= 0 else start)
        return True

    async def _spill(self) -> None:
        parts, self._parts, self._parts_bytes = self._parts, [], 0
        if self._file is None:
            self._file = store.new_incoming()
            parts.insert(0, self._top(self.head))
        path = self._file
        try:
            await _to_the_end(_append, path, parts)
        finally:
            if self._file is not path:
                # Discarded meanwhile, by the end of the connection: the thread may have made it again.
                store.unlink(path)

    async def finish(self) -> tuple[bytes | None, Path | None]:
        """The message with its top before it: as bytes, or as a file."""
        self._line_ends.decode("", final=True)
        if self._has_bare() and not self.problem:
            self.problem = BARE_LINE_END
            self.discard()
            return b"", None
        if self._file is None:
            return b"".join([self._top(self.head), *self._parts]), None
        await self._spill()
        whole, self._file = self._file, None
        return None, whole

    def discard(self) -> None:
        """Forget what there is of the message."""
        self._parts, self._parts_bytes = [], 0
        if self._file is not None:
            store.unlink(self._file)
            self._file = None


def refusal_for(error: OSError) -> str:
    """The reply when the disk did not take the message."""
    return DISK_FULL if error.errno in store.FULL else DISK_FAILED


async def _to_the_end(work: Callable[..., None], *arguments: object) -> None:
    """`work` in a thread. A caller that is cancelled waits for its end: what it then removes must not come back.

    It may be cancelled again meanwhile: by whoever drops the connection, and then by its end.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


def _append(path: Path, parts: Iterable[bytes]) -> None:
    with _opened(path) as file:
        file.writelines(parts)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("ab")
    except FileNotFoundError:
        incoming.prepare()
        return path.open("ab")


async def read_data(reader: asyncio.StreamReader, body: Body, renew: Callable[[int], None]) -> bytes:
    """Read up to the dot that ends DATA (RFC 5321 4.1.1.4); returns what came after it (pipelined commands).

    `renew` is called with the size of each piece, in bytes.

    The end is CRLF.CRLF alone, so that nothing else can smuggle a second message. Raises TooMuch, and
    IncompleteReadError when the client leaves in the middle.
    """
    # What stands before the message counts as a line end: a dot may be its very first character.
    held = b"\r\n"
    first = True
    while True:
        piece = await reader.read(CHUNK_BYTES)
        if not piece:
            raise asyncio.IncompleteReadError(b"", None)
        renew(len(piece))
        held += piece
        # Without a line that begins with a dot there is neither an end nor a dot to take away; attachments have none.
        dot = held.find(b"\r\n.") if b"." in held else -1
        end = held.find(END, dot) if dot >= 0 else -1
        if end >= 0:
            text = held[: end + 2]
            rest = held[end + len(END) :]
        else:
            # Keep what may be the beginning of the end.
            keep = next((n for n in range(len(END) - 1, 0, -1) if held.endswith(END[:n])), 0)
            text, rest = held[: len(held) - keep], held[len(held) - keep :]
        text, rest = _unstuffable(text, rest, end >= 0)
        plain = text.replace(b"\r\n.", b"\r\n") if 0 <= dot < len(text) else text
        if first and len(plain) >= 2:
            plain, first = plain[2:], False
        if plain:
            await body.add(plain)
        if end >= 0:
            return rest
        held = rest


def _unstuffable(text: bytes, rest: bytes, ended: bool) -> tuple[bytes, bytes]:
    """Keep a final CRLF back, so that a stuffed dot in the next piece is seen together with it."""
    if not ended and text.endswith(b"\r\n"):
        return text[:-2], b"\r\n" + rest
    return text, rest
