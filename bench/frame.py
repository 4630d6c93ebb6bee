"""What benchmarks of several systems begin and end with."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import postfix, postgres


def can_run(*, on_postgresql: bool) -> bool:
    """Whether what it needs is there; says what is not."""
    if postfix.can_run() and (postgres.is_installed() or not on_postgresql):
        return True
    print("bench: needs root, and Debian's postfix and postgresql", file=sys.stderr)
    return False


def end_with_all() -> None:
    """Have SIGTERM end what runs, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@contextmanager
def place(folder: str | None) -> Iterator[Path]:
    """A folder for spools, queues and databases below `folder` (None: $TMPDIR), which is gone afterwards."""
    tempfile.tempdir = folder
    with tempfile.TemporaryDirectory(prefix="mailspool-bench-") as name:
        # Postfix's programs and the sinks run as users of their own.
        Path(name).chmod(0o755)
        yield Path(name)


def write(figures: Any, path: Path) -> None:
    """All of them, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n")
