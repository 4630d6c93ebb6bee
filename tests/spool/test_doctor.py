"""Each kind of thing that a crash or a hand may leave behind is found, and mended without loss."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from mailspool.home import Home
from spool import tasks
from spool.files import incoming, store
from spool.flow import intake, leases, outcomes
from spool.maintenance import doctor
from spool.message.envelope import DeliveryReport, LeasedEntry, RecipientResult
from spool.models import Entry, Recipient, Settings, Trace
from spool.models.recipient import Outcome
from spool.rows import entries, statements
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


def found() -> list[tuple[str, str]]:
    return [(finding.kind, finding.what) for finding in doctor.examine()]


def mend_all() -> None:
    for finding in list(doctor.examine()):
        doctor.mend(finding)


def age(path: Path, seconds: float = 7200) -> None:
    os.utime(path, (time.time() - seconds, time.time() - seconds))


def a_taken_entry() -> LeasedEntry:
    intake.accept([a_submission()])
    with statements.write_transaction():
        [entry] = leases.take("worker", timezone.now(), 1, straight=True, no_delay=True)
    return entry


def deliver(entry: LeasedEntry) -> None:
    results = [RecipientResult(recipient, Outcome.DELIVERED, "250 ok") for recipient in entry.recipients]
    outcomes.record("worker", [DeliveryReport(entry, results)], store.Writer(), Settings.load(), timezone.now())


def test_a_healthy_spool_has_nothing_to_find() -> None:
    intake.accept([a_submission()])
    assert found() == []


def test_the_file_of_a_message_that_has_ended_is_removed() -> None:
    entry = a_taken_entry()
    content = entry.read()
    deliver(entry)
    # As after a kill between the commit and the removal.
    entry.path.write_bytes(content)
    assert found() == [("leftover file", f"{entry.subspool}/{entry.file_name}")]
    mend_all()
    assert not entry.path.exists()
    assert found() == []
    assert Trace.objects.count() == 1


def test_such_files_go_by_themselves_every_hour(home: Home) -> None:
    entry = a_taken_entry()
    deliver(entry)
    entry.path.write_bytes(b"left")
    [waiting] = intake.accept([a_submission()])
    tasks.forget()
    assert [path.name for path in home.spool.rglob("*.eml")] == [waiting]


def test_the_file_of_a_message_that_nobody_was_promised_is_kept_aside(home: Home) -> None:
    intake.accept([a_submission()])
    entry = Entry.objects.get()
    orphan = store.path_of(entry.subspool, store.new_file_names(1)[0])
    orphan.write_bytes(b"never acknowledged")
    assert found() == [], "it may be about to get its row"
    age(orphan)
    assert found() == [("orphan file", f"{entry.subspool}/{orphan.name}")]
    mend_all()
    assert (home.root / "lost+found" / orphan.name).read_bytes() == b"never acknowledged"
    assert found() == []


def test_a_half_written_file_is_kept_aside(home: Home) -> None:
    incoming.prepare()
    half = store.new_incoming()
    half.write_bytes(b"hal")
    assert found() == [], "it may still be coming in"
    age(half)
    assert found() == [("unfinished file", half.name)]
    mend_all()
    assert (home.root / "lost+found" / half.name).read_bytes() == b"hal"
    assert found() == []


def test_an_entry_without_its_file_is_told_of_and_kept() -> None:
    intake.accept([a_submission()])
    entry = Entry.objects.get()
    store.path_of(entry.subspool, entry.file_name).unlink()
    assert found() == [("missing file", f"{entry.subspool}/{entry.file_name}")]
    mend_all()
    assert Entry.objects.get() == entry


def test_a_file_that_was_changed_is_told_of_and_left_alone() -> None:
    intake.accept([a_submission()])
    entry = Entry.objects.get()
    path = store.path_of(entry.subspool, entry.file_name)
    path.write_bytes(b"changed")
    assert found() == [("wrong size", f"{entry.subspool}/{entry.file_name}")]
    mend_all()
    assert path.read_bytes() == b"changed"


def test_a_lease_that_lapsed_long_ago_is_told_of_and_the_next_worker_takes_it() -> None:
    entry = a_taken_entry()
    Entry.objects.update(due_at=timezone.now() - timedelta(minutes=2))
    assert found() == [("lapsed lease", entry.file_name)]
    with statements.write_transaction():
        assert leases.take("another", timezone.now(), 1, straight=True, no_delay=True)
    assert found() == []


def test_a_message_that_was_set_aside_is_told_of() -> None:
    [name] = intake.accept([a_submission()])
    Entry.objects.update(hold=True, failures=3)
    assert found() == [("set aside", name)]


def test_recipients_without_an_entry_are_removed() -> None:
    intake.accept([a_submission()])
    entry = Entry.objects.get()
    with connection.constraint_checks_disabled():
        entries.remove_finished("", [entry.id])
    assert ("stray recipients", "1") in found()
    mend_all()
    assert Recipient.objects.count() == 0
