"""What the doctor (spool.maintenance.doctor) and those who keep messages tell of what is wrong with their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Younger files may belong to a message that is being taken in right now.
YOUNGEST_SECONDS = 600.0
# So many files or rows are looked at together.
CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and what mending does about it."""

    kind: str
    what: str
    remedy: str
    path: Path | None = None
