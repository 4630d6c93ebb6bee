"""`python -m mailspool.prepare`, in the environment that its systemd unit gives it and in nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.redis import RedisServer

PROJECT = Path(__file__).resolve().parents[2]


class Unit:
    """mailspool-prepare.service with an EnvironmentFile of the test's, on a SQLite file of its own."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.home = folder / "home"
        self.environment = {
            "MAILSPOOL_HOME": str(self.home),
            "MAILSPOOL_HOSTNAME": "mail.example.org",
            "MAILSPOOL_ADMIN_EMAIL": "admin@example.org",
            "REDIS_URL": redis_url,
        }

    def run(self, **changed: str) -> subprocess.CompletedProcess[str]:
        given = {**self.environment, **changed}
        command = ["env", "-i", *(f"{name}={value}" for name, value in given.items())]
        return subprocess.run(
            [*command, sys.executable, "-m", "mailspool.prepare"],
            cwd=PROJECT, capture_output=True, text=True, timeout=120,
        )  # fmt: skip


@pytest.fixture
def unit(tmp_path: Path, redis: RedisServer) -> Unit:
    return Unit(tmp_path, redis.url)


@pytest.mark.sqlite
def test_prepare_makes_an_installation_from_the_unit_s_environment_alone(unit: Unit) -> None:
    prepared = unit.run()

    assert prepared.returncode == 0, prepared.stderr
    assert "admin@example.org" in prepared.stdout
    assert (unit.home / "mailspool.sqlite3").exists()
