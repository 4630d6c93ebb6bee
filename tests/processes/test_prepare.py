"""`python -m mailspool.prepare`, in the environment that its systemd unit gives it and in nothing else."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import tables
from tests.support.daemon import Daemon
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
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

    def with_tables(self) -> Unit:
        """The same with its database there already, for what is not about that."""
        self.home.mkdir(mode=0o700)
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        tables.make_in_file(
            self.home / "mailspool.sqlite3",
            lambda: subprocess.run(migrate, cwd=PROJECT, env=self.environment, check=True, timeout=120),
        )
        return self

    def command(self, *options: str, **changed: str) -> list[str]:
        given = {**self.environment, **changed}
        pairs = [f"{name}={value}" for name, value in given.items()]
        return ["env", "-i", *pairs, sys.executable, "-m", "mailspool.prepare", *options]

    def run(self, *options: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options, **changed), cwd=PROJECT, capture_output=True, text=True, timeout=120
        )


@pytest.fixture
def unit(tmp_path: Path, redis: RedisServer) -> Unit:
    return Unit(tmp_path, redis.url)


@pytest.mark.sqlite
def test_prepare_makes_an_installation_from_the_unit_s_environment_alone(unit: Unit) -> None:
    prepared = unit.run()

    assert prepared.returncode == 0, prepared.stderr
    # What a unit prints is in the journal for as long as that is kept.
    email, password = (unit.home / "keys" / "first-password").read_text().split()
    assert email == "admin@example.org" and email in prepared.stdout
    assert password not in prepared.stdout + prepared.stderr
    with closing(sqlite3.connect(unit.home / "mailspool.sqlite3")) as database:
        rules = dict(database.execute("SELECT kind, mail_to FROM spool_alertrule").fetchall())
    assert rules.keys() >= {"disk", "program", "certificate"}, "it watches its machine from the beginning"
    told = {kind for kind, mail_to in rules.items() if mail_to}
    assert {rules[kind] for kind in told} == {"admin@example.org"}
    # These are shown in the console alone.
    silent = {"throttled-user", "throttled-domain", "guard", "guard-dry-run", "destination"}
    assert rules.keys() - told == silent


@pytest.mark.sqlite
def test_two_that_prepare_at_once_make_one_installation(unit: Unit, tmp_path: Path) -> None:
    both = [Daemon(f"prepare-{n}", unit.command(), tmp_path / f"prepare-{n}.log", cwd=PROJECT) for n in (1, 2)]
    for daemon in both:
        daemon.start()
    assert [daemon.wait(120) for daemon in both] == [0, 0], [daemon.log_tail() for daemon in both]
    with closing(sqlite3.connect(unit.home / "mailspool.sqlite3")) as database:
        [rules] = database.execute("SELECT max(n) FROM (SELECT count(*) AS n FROM spool_alertrule GROUP BY kind)")
        [administrators] = database.execute("SELECT count(*) FROM accounts_user WHERE role = 'admin'")
    assert (rules, administrators) == ((1,), (1,))


@pytest.mark.postgresql
def test_prepare_waits_for_a_database_that_comes_later(unit: Unit, tmp_path: Path) -> None:
    server = PostgresServer(durable=False)
    try:
        command = unit.command(DATABASE_URL=server.url())
        daemon = Daemon("prepare", command, tmp_path / "prepare.log", cwd=PROJECT)
        daemon.start(lambda: daemon.has_printed("Waiting for it, up to 300 more seconds."), 30)
        assert daemon.log_tail().count("The database can't be used:") == 1, "it says so every ten seconds"

        server.start()

        assert daemon.wait(60) == 0, daemon.log_tail()
        assert "admin@example.org" in daemon.log_tail()
    finally:
        server.remove()


def test_prepare_gives_up_after_a_while_so_that_it_is_tried_again(unit: Unit) -> None:
    nowhere = f"postgres://mailspool:hunter2@127.0.0.1:{free_port()}/mailspool"
    refused = unit.run("--patience", "1", DATABASE_URL=nowhere)

    assert refused.returncode == 1
    assert "The database can't be used:" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.sqlite
@pytest.mark.long
def test_a_redis_that_is_away_does_not_keep_mail_from_starting(unit: Unit) -> None:
    prepared = unit.with_tables().run("--patience", "1", REDIS_URL=f"redis://:hunter2@127.0.0.1:{free_port()}/0")

    assert prepared.returncode == 0
    assert "The Redis of REDIS_URL can't be used" in prepared.stderr
    assert "Mail flows without it" in prepared.stderr
    assert "hunter2" not in prepared.stderr


@pytest.mark.sqlite
def test_a_wrong_password_of_redis_is_said_at_once(unit: Unit, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", tmp_path / "locked.sock")
    server.daemon.command += ["--requirepass", "right"]
    server.daemon.start(server.socket.exists)
    try:
        prepared = unit.with_tables().run(REDIS_URL=f"unix://{server.socket}?db=0&password=hunter2")
    finally:
        server.stop()

    assert prepared.returncode == 0
    assert "invalid username-password pair" in prepared.stderr
    assert "hunter2" not in prepared.stderr
