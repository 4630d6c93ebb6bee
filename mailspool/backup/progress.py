"""How far it is: on a terminal a line that is written again and again, else a line every so often."""

from __future__ import annotations

import time
from typing import Final, TextIO

from accounts.management.terminal import one_line

_ON_TERMINAL_SECONDS: Final = 0.2
_ELSEWHERE_SECONDS: Final = 10.0


class Progress:
    """Writes to `out`; nothing without one."""

    def __init__(self, out: TextIO | None) -> None:
        self._out = out
        self._on_terminal = out is not None and out.isatty()
        self._told = time.monotonic()

    def say(self, text: str) -> None:
        """A step begins."""
        if self._out is not None:
            text = one_line(text)
            self._out.write(f"\r\x1b[K{text}\n" if self._on_terminal else f"{text}\n")
            self._out.flush()

    def count(self, what: str, done: int, total: int, size_bytes: int) -> None:
        """So many are done. Call it often."""
        seconds = _ON_TERMINAL_SECONDS if self._on_terminal else _ELSEWHERE_SECONDS
        if self._out is None or time.monotonic() - self._told < seconds:
            return
        self._told = time.monotonic()
        of = f" of {total:,}" if total else ""
        text = f"  {what}: {done:,}{of}, {size_bytes / 1e6:,.0f} MB"
        self._out.write(f"\r\x1b[K{text}" if self._on_terminal else f"{text}\n")
        self._out.flush()

    def end(self) -> None:
        """Nothing more comes in this line."""
        if self._out is not None and self._on_terminal:
            self._out.write("\r\x1b[K")
            self._out.flush()
