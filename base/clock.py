"""Two clocks: the machine's, which somebody may set, and a steady one, which tells when that was done.

Leases are written by the machine's clock, for all processes to compare. When it was set ahead, every lease looks lapsed
although its holder is at work; so for the length of a lease nobody takes what another one holds, and holders have
renewed theirs by then. When it was set back, what was written before lies in the future; see leases.mend.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from pathlib import Path

from django.conf import settings

# Smaller steps are what time servers do, and less than a lease can stand.
LEAST_STEP_SECONDS = 2.0
_KEPT_SECONDS = 60.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def steady() -> float:
    """Seconds since the machine was started, also while it was asleep; the same for all of its processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@functools.cache
def boot() -> str:
    """Which start of the machine this is; empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Steps:
    """What one process knows of the setting of the clock; across its restarts by a file in the home."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._offset: float | None = None
        self._written = float("-inf")
        self._last_step = (float("-inf"), 0.0)

    def look(self) -> None:
        """Compare the clocks. Call it before the machine's clock is relied on; costs a microsecond."""
        now = steady()
        offset = time.time() - now
        with self._lock:
            before = self._offset if self._offset is not None else self._read()
            self._offset = offset
            if before is not None and abs(offset - before) >= LEAST_STEP_SECONDS:
                self._last_step = (now, offset - before)
                self._written = float("-inf")
            if now - self._written >= _KEPT_SECONDS:
                self._written = now
                self._write(offset)

    def within(self, seconds: float) -> bool:
        """Whether the clock was set within so many seconds, as far as `look` has seen."""
        return steady() - self._last_step[0] < seconds

    @property
    def last(self) -> tuple[float, float]:
        """When it was set last (by the steady clock), and by how many seconds: below 0 when it was set back."""
        return self._last_step

    def _read(self) -> float | None:
        try:
            boot, offset = self._path.read_text().split()
            return float(offset) if boot == _BOOT_ID.read_text().strip() else None
        except (OSError, ValueError):
            return None

    def _write(self, offset: float) -> None:
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            temporary.write_text(f"{_BOOT_ID.read_text().strip()} {offset:.3f}\n")
            temporary.replace(self._path)
        except OSError:
            # A full disk: then a process that starts does not know of a step before.
            temporary.unlink(missing_ok=True)


_steps: Steps | None = None


def steps() -> Steps:
    """This process's."""
    global _steps
    if _steps is None:
        _steps = Steps(settings.HOME.clock)
    _steps.look()
    return _steps


def forget() -> None:
    """Know of no step any more."""
    global _steps
    _steps = None
    settings.HOME.clock.unlink(missing_ok=True)
