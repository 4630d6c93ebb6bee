"""From the sessions' messages, as they come through a socket, to batches that are worth a commit each."""

from __future__ import annotations

import math
import pickle
import select
import socket
import struct
import time
from typing import Final

from spool.message.envelope import Submission

# Bounds of one group commit: enough for every session of a busy listener, small enough that none waits long.
MOST_MESSAGES = 500
MOST_BYTES = 64 * 1024 * 1024
# For so long a commit waits for messages of other clients that are connected, while waiting brings some.
LINGER_SECONDS = 0.003
# After waiting in vain once, twice, …: so many commits don't wait.
_LONGEST_HASTE = 256
# A piece of the socket pair's stream is a length in bytes and that many bytes of pickle. No bytes at all: goodbye.
_LENGTH: Final = struct.Struct("!I")
GOODBYE: Final = _LENGTH.pack(0)
_READ_BYTES = 1024 * 1024


class Frames:
    """A stream cut into the pieces that it was made of."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.goodbye = False

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> bytes | None:
        """The next whole piece, if there is one; sets `goodbye` at the last."""
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        frame = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        self.goodbye = not length
        return None if self.goodbye else frame


def framed(content: object) -> bytes:
    """One piece of the stream."""
    pickled = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(pickled)) + pickled


class Gatherer:
    """Makes batches of the messages that come, as large as pays.

    A commit costs much the same for one message as for ten. So when it could begin it waits a little for clients that
    are about to bring more; but only while that does bring more, for a client that is alone must not wait.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._inbox = Frames()
        # Commits that don't wait, and how many those will be after the next time in vain.
        self._haste = 0
        self._next_haste = 1

    def next_batch(self) -> list[Submission]:
        """Wait for messages; returns all that are there, within the bounds of one commit. Empty: the end."""
        batch: list[Submission] = []
        size = coming = came = 0
        until = math.inf
        while len(batch) < MOST_MESSAGES and size < MOST_BYTES:
            frame = self._inbox.next()
            if frame is not None:
                submission, coming = pickle.loads(frame)  # noqa: S301 – from our own parent
                batch.append(submission)
                size += len(frame)
                came += until is not math.inf
                continue
            if self._inbox.goodbye:
                break
            seconds: float | None = None
            if batch:
                if until is math.inf and coming > 0 and self._may_wait():
                    until = time.monotonic() + LINGER_SECONDS
                seconds = max(0.0, until - time.monotonic()) if coming > 0 and until is not math.inf else 0.0
            if seconds is not None and not select.select([self._channel], (), (), seconds)[0]:
                break
            try:
                data = self._channel.recv(_READ_BYTES)
            except OSError:
                data = b""
            if not data:
                return []
            self._inbox.feed(data)
        if until is not math.inf:
            self._learn(came)
        return batch

    def _may_wait(self) -> bool:
        if self._haste:
            self._haste -= 1
            return False
        return True

    def _learn(self, came: int) -> None:
        if came:
            self._next_haste = 1
        else:
            self._haste = self._next_haste
            self._next_haste = min(2 * self._next_haste, _LONGEST_HASTE)
