"""The bell within one machine: a byte in a named pipe of the home, from who has committed mail to a pass with room.

It says what the bell by Redis would (spool.flow.doorbell), without the way there and back, and without Redis. Whoever
rings learns whether a pass of this machine hears it; where none does, that bell wakes one elsewhere, or has one begin.
It carries no mail and may be lost, as that may.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import stat
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from django.conf import settings

log = logging.getLogger(__name__)

# A ring that nobody has heard for so long: who listens is stopped, or has no time.
UNHEARD_SECONDS: Final = 1.0
_RING: Final = b"1"
_MOST_READ: Final = 4096


def path() -> Path:
    """Of the pipe."""
    pipe: Path = settings.HOME.bell
    return pipe


class Bell:
    """For who brings mail. One thread's; costs two system calls."""

    def __init__(self) -> None:
        self._pipe = -1
        self._unheard_since = 0.0

    def ring(self) -> bool:
        """Whether a pass of this machine is told that there is mail due. Neither waits nor raises."""
        try:
            if self._pipe < 0:
                self._pipe = _opened(os.O_WRONLY)
            if not _length(self._pipe):
                self._unheard_since = time.monotonic()
            # Also beside one that nobody has heard: whether anybody is left to hear it, only writing tells.
            os.write(self._pipe, _RING)
        except OSError:
            # Nobody listens, or nobody ever has.
            self.close()
            return False
        return time.monotonic() - self._unheard_since < UNHEARD_SECONDS

    def close(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = -1


class Ear:
    """A pass's, while it has room for more. Loop thread only; `heard` is called for each ring, by one pass of all."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._pipe = -1
        self._complained = False

    def open(self) -> None:
        """Listen, if it can be done: there is the other bell."""
        if self._pipe >= 0:
            return
        try:
            _make()
            # Its own writer, too: else it would be at its end whenever nobody else is.
            self._pipe = _opened(os.O_RDWR)
        except OSError as error:
            if not self._complained:
                log.warning("mail of this machine is announced by Redis alone: %s: %s", path(), error)
            self._complained = True
            return
        asyncio.get_running_loop().add_reader(self._pipe, self._read)

    def close(self) -> bool:
        """Listen no more; whether there was a ring that nobody has heard."""
        if self._pipe < 0:
            return False
        asyncio.get_running_loop().remove_reader(self._pipe)
        rang = self._has_rung()
        os.close(self._pipe)
        self._pipe = -1
        return rang

    def _read(self) -> None:
        if self._has_rung():
            self._heard()

    def _has_rung(self) -> bool:
        try:
            return bool(os.read(self._pipe, _MOST_READ))
        except OSError:
            # Another pass was quicker.
            return False


def _make() -> None:
    try:
        os.mkfifo(path(), 0o600)
    except FileExistsError:
        pass


def _opened(flags: int) -> int:
    """Raises OSError: for writing, also while nobody reads."""
    pipe = os.open(path(), flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
        os.close(pipe)
        raise OSError("it is no named pipe")
    return pipe


def _length(pipe: int) -> int:
    """How many bytes nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
