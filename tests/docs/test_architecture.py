"""The map leads somewhere: each file that docs/architecture.md names is there."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/architecture.md").read_text()
# A bare file name is one of the folder that its paragraph is about.
PATHS = sorted(set(re.findall(r"`((?:[a-z_]+/)+[a-z_.]*)`", PAGE)))
NAMES = sorted(set(re.findall(r"`([a-z_]+\.(?:py|js))`", PAGE)))


def test_each_path_exists() -> None:
    roots = [
        PROJECT,
        PROJECT / "spool",
        PROJECT / "spool/smtpd",
        PROJECT / "spool/delivery",
        PROJECT / "quarantine",
        PROJECT / "throttling",
    ]
    missing = [path for path in PATHS if not any((root / path).exists() for root in roots)]
    assert len(PATHS) > 60
    assert missing == []


def test_each_file_name_exists() -> None:
    files = {path.name for app in ("spool", "tests/crash") for path in (PROJECT / app).rglob("*.*")}
    assert [name for name in NAMES if name not in files] == []
