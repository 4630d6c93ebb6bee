"""The tests on both databases, side by side: many of them wait for servers, so two runs take little longer than one.
The run on SQLite, which has what is alike on both, has three files of tests in hand, the other one two.

    python -m tests.support.both [ARGUMENT…]      arguments for pytest

What the run on SQLite says is shown as it comes, then what the one on PostgreSQL said meanwhile.

A test that fails is run a second time: dozens of servers share the machine with it, and what it waits for may have come
too late. The summary lists it as RERUN either way, and shows how it failed; one that is listed again and again has
a fault, or the code has.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence

# In the order of collection: the tests in a browser come last, and leave an event loop behind in their process.
_BY_FILE = ["--dist", "loadfile", "--no-loadscope-reorder"]


def main(arguments: Sequence[str]) -> int:
    """The exit status is that of the first run that failed, or 0."""
    # Hundreds of processes are started: none of them is to compile all anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    again = ["--reruns", "1", "--rerun-show-tracebacks"]
    pytest = [sys.executable, "-m", "pytest", *_BY_FILE, *again, "-raR"]
    on_sqlite = [*pytest, "-n", "3", *arguments]
    on_postgresql = [sys.executable, "-m", "tests.support.postgres", "--fast", "--", *pytest, "-n", "2", *arguments]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(on_postgresql, stdout=said, stderr=subprocess.STDOUT)
        running = [beside]
        try:
            print("== On SQLite (on PostgreSQL beside it; what that says comes after)", flush=True)
            shown = subprocess.Popen(on_sqlite)
            running.append(shown)
            status = shown.wait()
            print("== On PostgreSQL", flush=True)
            also = beside.wait()
        finally:
            for process in running:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
            said.seek(0)
            shutil.copyfileobj(said, sys.stdout.buffer)
            sys.stdout.flush()
    return status or also


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
