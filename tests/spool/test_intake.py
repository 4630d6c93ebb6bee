"""Messages become durable: files, rows, and what happens when either fails."""

from __future__ import annotations

import errno
import os
import time
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from django.db import OperationalError, connection

from base import redis_client
from mailspool.home import Home
from spool.files import store
from spool.flow import intake
from spool.models import Direction, Entry, Recipient, Settings, Status, settings
from spool.rows import statements
from tests.support.messages import a_submission
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


def files_in(home: Home) -> list[str]:
    return sorted(path.name for path in home.spool.rglob("*") if path.is_file())


def test_an_accepted_message_is_a_file_an_entry_and_its_recipients(home: Home) -> None:
    submission = a_submission()
    [name] = intake.accept([submission])
    entry = Entry.objects.get(file_name=name)
    assert store.path_of(entry.subspool, name).read_bytes() == submission.content
    assert entry.status == Status.DELIVERY_DELAY
    assert entry.direction == Direction.OUTBOUND
    assert entry.size_bytes == len(submission.content or b"")
    assert entry.subject == "Lunch on Friday"
    assert entry.recipients.get().address == submission.envelope.recipients[0].address


def test_a_batch_keeps_its_order(home: Home) -> None:
    names = intake.accept([a_submission() for _ in range(50)])
    assert len(set(names)) == 50
    assert Entry.objects.count() == 50
    assert Recipient.objects.count() == 50
    assert names == [e.file_name for e in Entry.objects.order_by("id")]


def test_one_message_may_have_thousands_of_recipients(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    # More values than a statement of PostgreSQL may have as parameters: it would be done again, after a failure.
    intake.accept([a_submission(to=[f"user{number}@example.net" for number in range(6000)])])
    assert Recipient.objects.count() == 6000
    assert "could not be committed" not in caplog.text


def test_the_delivery_delay_of_the_settings_is_given_to_new_mail(home: Home) -> None:
    row = Settings.load()
    row.delivery_delay_seconds = 30
    row.save()
    [name] = intake.accept([a_submission()])
    entry = Entry.objects.get(file_name=name)
    assert entry.due_at is not None
    assert (entry.due_at - entry.created).total_seconds() == 30


def test_a_full_disk_is_answered_452_and_leaves_nothing(home: Home) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch.object(os, "fsync", side_effect=full), pytest.raises(intake.SpoolFull) as refused:
        intake.accept([a_submission(), a_submission()])
    assert refused.value.reply.startswith("452 4.3.1")
    assert files_in(home) == []
    assert not Entry.objects.exists()


def test_too_little_free_space_is_answered_before_anything_is_written(home: Home) -> None:
    intake._free.forget()
    with patch.object(store, "free_bytes", return_value=1), pytest.raises(intake.SpoolFull):
        intake.accept([a_submission()])
    intake._free.forget()


def test_a_failed_commit_is_answered_451_and_leaves_no_file(home: Home) -> None:
    broken = OperationalError("the server has gone away")
    with patch.object(intake, "insert_rows", side_effect=broken), pytest.raises(intake.IntakeUnavailable) as refused:
        intake.accept([a_submission()])
    assert refused.value.reply.startswith("451 4.3.0")
    assert files_in(home) == []


def test_a_commit_that_fails_while_files_are_still_being_written_leaves_no_file(home: Home) -> None:
    real = os.fsync

    def slow(descriptor: int) -> None:
        time.sleep(0.3)
        real(descriptor)

    broken = OperationalError("the server has gone away")
    with (
        patch.object(os, "fsync", slow),
        patch.object(intake, "insert_rows", side_effect=broken),
        pytest.raises(intake.IntakeUnavailable),
    ):
        intake.accept([a_submission() for _ in range(6)])
    assert files_in(home) == []
    assert intake.accept([a_submission()])


def test_an_error_after_the_commit_still_counts_as_taken(home: Home) -> None:
    with patch.object(statements, "write_transaction", LosingTheAnswer):
        [name] = intake.accept([a_submission()])
    assert Entry.objects.filter(file_name=name).exists()


@pytest.mark.postgresql
def test_a_connection_that_did_not_outlive_a_restart_of_the_database_costs_no_message(home: Home) -> None:
    assert intake.accept([a_submission()])
    settings.forget()
    number = connection.connection.info.backend_pid
    with psycopg.connect(**_where(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [number])
    assert intake.accept([a_submission()])


def _where() -> dict[str, Any]:
    parameters = connection.get_connection_params()
    return {name: parameters[name] for name in ("dbname", "user", "host", "port", "password") if name in parameters}


class LosingTheAnswer:
    """A transaction that commits, but whose answer never comes back."""

    def __init__(self) -> None:
        from django.db import transaction

        self._atomic = transaction.atomic()

    def __enter__(self) -> None:
        self._atomic.__enter__()

    def __exit__(self, *exc: object) -> None:
        self._atomic.__exit__(*exc)  # type: ignore[arg-type]
        raise OperationalError("server closed the connection unexpectedly")


def written(writer: store.Writer, files: list[store.PendingFile], size: int) -> str:
    subspool, finish = writer.begin(files, size)
    finish()
    return subspool


def test_a_subspool_is_left_when_it_is_full(home: Home) -> None:
    writer = store.Writer()
    first = written(writer, [store.PendingFile(f"{n}.eml", b"x", None) for n in range(100)], 100)
    second = written(writer, [store.PendingFile("more.eml", b"x", None)], 100)
    writer.close()
    assert first != second


def test_two_writers_never_share_a_subspool(home: Home) -> None:
    one, two = store.Writer(), store.Writer()
    places = {written(w, [store.PendingFile(n, b"x", None)], 100) for w, n in ((one, "a.eml"), (two, "b.eml"))}
    assert len(places) == 2
    one.close()
    two.close()


def test_a_dead_redis_does_not_stop_mail_from_coming_in(home: Home, redis: RedisServer) -> None:
    redis.stop()
    try:
        assert intake.accept([a_submission()])
    finally:
        redis.start()
        wait_until(redis_client.is_there, "Redis is asked again")
