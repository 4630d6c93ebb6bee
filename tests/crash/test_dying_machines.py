"""Machines of a cluster die amid mail, with drains, and deaths of the database and of Redis between."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from bench.machines.kills import GOES_ON_SECONDS, kill
from tests.crash.extent import SEED

KILLS = 4


@pytest.mark.long
@pytest.mark.postgresql
def test_whole_machines_are_killed_and_no_mail_is_lost_or_late(tmp_path: Path) -> None:
    print(f"MAILSPOOL_CRASH_SEED={SEED}")
    seen = kill(tmp_path, machines=3, messages=1000, kills=KILLS, late_ms=100, seed=SEED, console=Console())
    assert seen.acknowledged >= 1000
    assert seen.lost == 0
    assert max(seen.goes_on) < GOES_ON_SECONDS
    # What a machine was answered and had not recorded, only its own home knows.
    assert seen.doubled <= 20 * KILLS
