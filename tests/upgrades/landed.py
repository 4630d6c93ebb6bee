"""Which migrations have landed, and what they were: none of these is ever changed or removed.

`python -m tests.upgrades.landed` adds those that are new, at each release (CONTRIBUTING.md).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("landed.txt")


def listed() -> dict[str, str]:
    """The digests of migrations that have landed, by their paths."""
    lines = [line.split() for line in LIST.read_text().splitlines()]
    return {path: digest for digest, path in lines}


def present() -> dict[str, str]:
    """The same of those that are in the checkout."""
    files = sorted((*PROJECT.glob("*/migrations/[!_]*.py"), *PROJECT.glob("base/*/migrations/[!_]*.py")))
    return {str(path.relative_to(PROJECT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    known = {**present(), **(listed() if LIST.exists() else {})}
    LIST.write_text("".join(f"{digest}  {path}\n" for path, digest in sorted(known.items())))
