"""Programs look whether the tables are theirs before they work, and say so when they are not."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder

from base import schema
from spool.smtpd.database import what_failed
from tests.support.mailspool_process import PROJECT, MailspoolUnderTest
from tests.support.ports import is_listening
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

LAST = ("throttling", "0001_initial")
RECORDS = """
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
MigrationRecorder(connection)"""
OF_A_FUTURE = ("spool", "9999_of_a_future_version")


@pytest.mark.django_db
class TestExamining:
    def test_what_migrations_have_made_fits(self) -> None:
        assert schema.examine() == schema.Schema()
        assert (schema.Schema().fault, schema.Schema().remark) == ("", "")

    def test_a_migration_that_was_not_applied_is_a_fault(self) -> None:
        MigrationRecorder(connection).record_unapplied(*LAST)

        assert schema.examine().missing == ("throttling.0001_initial",)
        assert schema.examine().fault.startswith(
            "The database's schema is older than this Mailspool. Not applied: throttling.0001_initial. Run"
        )

    def test_one_of_a_newer_version_is_worth_a_remark(self) -> None:
        MigrationRecorder(connection).record_applied(*OF_A_FUTURE)

        assert schema.examine().fault == ""
        assert "newer than this Mailspool (spool.9999_of_a_future_version)" in schema.examine().remark

    def test_a_column_that_is_missing_or_demands_a_value_is_a_fault(self) -> None:
        rename_a_column()

        found = schema.examine()
        assert (found.lacking, found.demanding) == (("spool_route.kind",), ("spool_route.manner",))
        assert "A development version of before commit 179971f (25 November 2026) made them" in found.fault

    def test_a_newer_schema_on_which_this_code_cannot_work_is_a_fault(self) -> None:
        MigrationRecorder(connection).record_applied(*OF_A_FUTURE)
        rename_a_column()

        assert "of a newer Mailspool (spool.9999_of_a_future_version), and this one can't" in schema.examine().fault

    def test_a_column_with_a_default_demands_nothing(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE spool_route ADD COLUMN colour integer NOT NULL DEFAULT 3")
            cursor.execute("ALTER TABLE spool_route ADD COLUMN taste text NULL")

        assert schema.examine() == schema.Schema()

    def test_the_log_does_not_take_other_tables_for_a_database_that_is_away(self) -> None:
        with pytest.raises(DatabaseError) as no_column, connection.cursor() as cursor:
            cursor.execute("SELECT manner FROM spool_route")

        assert what_failed(no_column.value).startswith("the database's tables are not those of this version (")


def rename_a_column() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE spool_route RENAME COLUMN kind TO manner")


@pytest.fixture
def installation(tmp_path: Path, durable_postgres: PostgresServer | None) -> Iterator[MailspoolUnderTest]:
    """With its tables, its Redis and nothing that runs."""
    url = durable_postgres.create_database("schema") if durable_postgres else ""
    mailspool = MailspoolUnderTest(tmp_path, database_url=url, web=True)
    mailspool.prepare()
    mailspool.redis.start()
    yield mailspool
    mailspool.kill()
    if durable_postgres:
        durable_postgres.drop_database("schema")


def test_programs_wait_for_their_schema_and_then_work(installation: MailspoolUnderTest) -> None:
    installation.run(f"{RECORDS}.record_unapplied(*{LAST})")
    [listener], [worker], web = installation.listeners, installation.workers, installation.web
    assert web is not None
    web.start(lambda: is_listening(installation.web_port))
    waiting = [listener, worker, installation.scheduler]
    for daemon in waiting:
        daemon.start()

    for daemon in waiting:
        wait_until(lambda: "waiting: The database's schema is older" in daemon.log_tail(5000), daemon.name, 30)  # noqa: B023
    assert greeting(installation).startswith("421 4.3.2 ")
    assert page(installation, "/healthz")[0] == 200
    status, text = page(installation, "/readyz")
    assert status == 503 and "Not applied: throttling.0001_initial" in text
    status, text = page(installation, "/admin/login/")
    assert status == 503 and "waits for its database" in text
    assert all(daemon.alive for daemon in waiting)

    installation.run(f"{RECORDS}.record_applied(*{LAST})")
    installation.wait_for_workers()
    wait_until(lambda: greeting(installation).startswith("220 "), "mail is taken", 30)
    wait_until(lambda: page(installation, "/admin/login/")[0] == 200, "the login page", 30)


def greeting(mailspool: MailspoolUnderTest) -> str:
    with socket.create_connection(("127.0.0.1", mailspool.smtp_port), timeout=30) as client:
        return client.recv(1024).decode()


def page(mailspool: MailspoolUnderTest, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{mailspool.web_port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_preparing_refuses_tables_that_no_migration_mends(installation: MailspoolUnderTest) -> None:
    installation.run(
        "from django.db import connection\n"
        "connection.cursor().execute('ALTER TABLE spool_route RENAME COLUMN kind TO manner')"
    )

    done = subprocess.run(
        [sys.executable, "-m", "mailspool.prepare"],
        cwd=PROJECT,
        env=installation.env,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert "The database's tables are not what its migrations make today: spool_route.kind" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_says_that_the_tables_are_not_its_own(installation: MailspoolUnderTest) -> None:
    installation.run(f"{RECORDS}.record_unapplied(*{LAST})")
    installation.run(
        "from django.db import connection\nconnection.cursor().execute('DROP TABLE throttling_throttlenotice')\n"
        "connection.cursor().execute('ALTER TABLE spool_settings RENAME COLUMN smtp_out_port TO port')"
    )

    done = subprocess.run(
        [sys.executable, "manage.py", "settings", "get", "smtp_out_port"],
        cwd=PROJECT,
        env=installation.env,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("The database's schema is older than this Mailspool. Not applied: throttling.0001")
