"""HTML that a stranger wrote, made harmless in a process of its own, which may take only so much time and memory.

No cleaner promises more than quadratic time, nor that its stack is deep enough: 75,000 tags that fit nowhere took a
minute.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# Of processor time; the process sees to it itself. In all it may take longer on a machine that is busy.
CPU_SECONDS: Final = 2
MEMORY_BYTES: Final = 512 * 1024 * 1024
_PATIENCE_SECONDS: Final = 20.0
_PROGRAM: Final = Path(__file__).with_name("safe_html_process.py")


class TooCostly(Exception):
    """It can't be made safe within the limits."""


@dataclass(frozen=True, slots=True)
class SafeHTML:
    """What is left of it, where its links led, and how many pictures of other hosts were left out."""

    body: str
    links: Sequence[str]
    remote_images: int


def cleaned(text: str, images: Mapping[str, str]) -> SafeHTML:
    """`text` without all that is active. `images` are data: URLs for the `cid:` URLs in it. Raises TooCostly."""
    return SafeHTML(**_run({"clean": text, "images": dict(images)}))


def plain(texts: Sequence[str]) -> list[str]:
    """What people would read of each, without any markup. Raises TooCostly."""
    return [str(text) for text in _run({"plain": list(texts)})]


def _run(question: Mapping[str, Any]) -> Any:
    limits = [str(CPU_SECONDS), str(MEMORY_BYTES)]
    try:
        done = subprocess.run(
            [sys.executable, "-I", _PROGRAM, *limits],
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise TooCostly(f"more than {CPU_SECONDS} s or {MEMORY_BYTES >> 20} MB") from error
    return json.loads(done.stdout)
