"""What processes cost, from /proc: CPU time, short-lived children included, and memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes. PSS shares what is shared among its users, so that it may be added up."""

    pss_mb: float
    rss_mb: float
    processes: int


def tree(roots: Iterable[int]) -> list[int]:
    """The processes given, and all below them."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            fields = _stat(int(folder.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(folder.name))
    found: list[int] = []
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of the trees so far, with that of children which have ended and were waited for."""
    total = 0
    for pid in tree(roots):
        fields = _stat(pid)
        if fields:
            # proc(5): utime, stime, cutime, cstime are fields 14 to 17; the list starts at field 3.
            total += sum(int(ticks) for ticks in fields[11:15])
    return total * _TICK_SECONDS


def cpu_by_part(parts: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """CPU seconds of each named part."""
    return {name: cpu_seconds(roots) for name, roots in parts.items()}


def memory(roots: Iterable[int]) -> Memory:
    """What the trees hold now."""
    pss = rss = count = 0
    for pid in tree(roots):
        try:
            lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        count += 1
        for line in lines:
            if line.startswith("Pss:"):
                pss += int(line.split()[1])
            elif line.startswith("Rss:"):
                rss += int(line.split()[1])
    return Memory(pss / 1024, rss / 1024, count)


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat from its third field on; empty when the process is gone."""
    try:
        text = (Path("/proc") / str(pid) / "stat").read_text()
    except OSError:
        return []
    # The second field is the command's name in brackets, and may hold anything.
    return text.rpartition(")")[2].split()
