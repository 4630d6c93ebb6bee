"""What a worker that died was answered is recorded by the next one, and nobody gets a message again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from base import clock
from spool.actions import Actor, perform, undo
from spool.delivery import answers
from spool.delivery.answers import AnswerFile
from spool.flow import intake, leases
from spool.flow.lanes import Want
from spool.flow.rounds import Rounds
from spool.message.envelope import AttemptRecord, LeasedEntry, RecipientResult
from spool.models import Attempt, Entry, Recipient, Trace
from spool.models.recipient import Outcome
from spool.rows import statements
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

BOB, EVE = "bob@example.net", "eve@example.net"
DEAD = "host:1:dead"


@pytest.fixture(autouse=True)
def no_answers(home: object) -> Iterator[None]:
    """The home is there for many tests."""
    forget()
    yield
    forget()


def forget() -> None:
    place: Path = settings.HOME.answers
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def take(owner: str) -> list[LeasedEntry]:
    with statements.write_transaction():
        return leases.take(owner, timezone.now(), 10, straight=True, no_delay=True)


def answered(entry: LeasedEntry, *addresses: str, by: AnswerFile) -> None:
    """The host takes `entry` for these."""
    results = [
        RecipientResult(one, Outcome.DELIVERED, "250 2.0.0 ok", "2.0.0", "mx.example.net")
        for one in entry.recipients
        if one.address in addresses
    ]
    attempt = AttemptRecord(timezone.now(), addresses, "mx.example.net", "192.0.2.1", "TLSv1.3", 250, "250 ok", 0.1)
    by.note(entry, results, attempt)


def die(file: AnswerFile) -> None:
    """Its process ends: the lock is gone, the file is not."""
    assert file._part is not None
    file._part.close()


def files() -> list[str]:
    place: Path = settings.HOME.answers
    return sorted(path.name for path in place.iterdir() if path.name != ".lock")


def look(owner: str = "next") -> list[LeasedEntry]:
    """One visit to the database of another worker; what it took."""
    rounds = Rounds(owner, [])
    try:
        return rounds.visit([], [], [], Want(10, low=10)).leased
    finally:
        rounds.close()


def lapse() -> None:
    Entry.objects.exclude(leased_by="").update(due_at=timezone.now() - timedelta(seconds=1))


def traces() -> list[tuple[str, str, str, str]]:
    return sorted(Trace.objects.values_list("recipient", "outcome", "reply", "host"))


DELIVERED = ("delivered", "250 2.0.0 ok", "mx.example.net")


def test_what_a_dead_worker_was_answered_is_recorded_before_its_leases_lapse() -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    [entry] = take(DEAD)
    file = AnswerFile(DEAD)
    answered(entry, BOB, EVE, by=file)
    die(file)
    assert look() == []
    assert traces() == [(BOB, *DELIVERED), (EVE, *DELIVERED)]
    assert Entry.objects.count() == Recipient.objects.count() == 0
    assert not entry.path.exists()
    assert files() == []
    assert Attempt.objects.get().ip == "192.0.2.1"


def test_recipients_without_an_answer_are_tried_at_once_and_that_is_no_second_attempt() -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    [entry] = take(DEAD)
    file = AnswerFile(DEAD)
    answered(entry, BOB, by=file)
    die(file)
    [left] = look()
    assert [one.address for one in left.recipients] == [EVE]
    assert (left.attempts, left.recipients_done) == (0, 1)
    assert traces() == [(BOB, *DELIVERED)]


def test_entries_without_an_answer_wait_for_their_lease_to_lapse() -> None:
    intake.accept([a_submission(), a_submission()])
    first, second = take(DEAD)
    file = AnswerFile(DEAD)
    answered(first, *[one.address for one in first.recipients], by=file)
    die(file)
    assert look() == []
    lapse()
    assert [entry.id for entry in look()] == [second.id]


def test_a_worker_that_lives_is_left_alone() -> None:
    intake.accept([a_submission(to=[BOB])])
    [entry] = take("alive")
    file = AnswerFile("alive")
    answered(entry, BOB, by=file)
    assert look() == []
    assert Trace.objects.count() == 0
    file.close()


def test_one_that_sleeps_longer_than_its_lease_is_believed() -> None:
    intake.accept([a_submission(to=[BOB])])
    [entry] = take("asleep")
    file = AnswerFile("asleep")
    answered(entry, BOB, by=file)
    [name] = files()
    long_ago = timezone.now().timestamp() - answers.SILENT_SECONDS - 1
    os.utime(settings.HOME.answers / name, (long_ago, long_ago))
    assert look() == []
    assert Trace.objects.count() == 0, "its lease still lasts"
    lapse()
    assert look() == []
    assert traces() == [(BOB, *DELIVERED)]
    assert files() == [name], "it is its own, and it may wake"
    file.close()


def test_who_has_the_entry_already_learns_of_it() -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    [entry] = take(DEAD)
    file = AnswerFile(DEAD)
    answered(entry, BOB, by=file)
    lapse()
    assert [one.file_name for one in take("elsewhere")] == [entry.file_name]
    die(file)
    look()
    assert traces() == [(BOB, *DELIVERED)]
    assert Entry.objects.get().leased_by == "elsewhere"


def test_what_was_deleted_meanwhile_does_not_go_out_again_when_that_is_undone() -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    [entry] = take(DEAD)
    file = AnswerFile(DEAD)
    answered(entry, BOB, by=file)
    lapse()
    event = perform("delete", [entry.id], Actor.system()).event
    die(file)
    assert look() == []
    undo(Actor.system(), event_id=event.id)
    assert [one.address for [back] in [look("third")] for one in back.recipients] == [EVE]
    assert traces() == [(BOB, *DELIVERED)]


def test_what_was_left_before_a_restart_of_the_machine_counts_when_the_leases_have_lapsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    intake.accept([a_submission(to=[BOB])])
    [entry] = take(DEAD)
    with monkeypatch.context() as before:
        before.setattr(clock, "boot", lambda: "another")
        file = AnswerFile(DEAD)
        answered(entry, BOB, by=file)
    die(file)
    assert look() == []
    assert Trace.objects.count() == 0
    assert len(files()) == 1
    lapse()
    assert look() == []
    assert traces() == [(BOB, *DELIVERED)]
    assert files() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-10],
        lambda content: content.replace(b"delivered", b"x").replace(b"ok", b"OK"),
        lambda content: content.split(b"\n", 1)[1],
        lambda content: b"",
        lambda content: bytes(len(content)),
        lambda content: b"\xff\n{[\n0 []\n" * 1000,
    ],
    ids=["torn", "changed", "without its head", "empty", "zeros", "something else"],
)
def test_a_spoilt_file_marks_nothing_as_delivered(spoil: Callable[[bytes], bytes]) -> None:
    intake.accept([a_submission(to=[BOB])])
    [entry] = take(DEAD)
    file = AnswerFile(DEAD)
    answered(entry, BOB, by=file)
    die(file)
    [name] = files()
    path = settings.HOME.answers / name
    path.write_bytes(spoil(path.read_bytes()))
    lapse()
    assert [one.file_name for one in look()] == [entry.file_name]
    assert Trace.objects.count() == 0


def test_the_answers_of_one_worker_say_nothing_under_the_name_of_another() -> None:
    intake.accept([a_submission(to=[BOB])])
    [entry] = take("holder")
    file = AnswerFile(DEAD)
    answered(entry, BOB, by=file)
    die(file)
    [name] = files()
    (settings.HOME.answers / name).rename(settings.HOME.answers / "holder.1")
    lapse()
    assert [one.file_name for one in look()] == [entry.file_name]
    assert Trace.objects.count() == 0


def test_an_answer_about_another_message_of_the_same_number_says_nothing() -> None:
    intake.accept([a_submission(to=[BOB])])
    [entry] = take(DEAD)
    file = AnswerFile(DEAD)
    entry.file_name = "another.eml"
    answered(entry, BOB, by=file)
    die(file)
    assert look() == []
    assert Trace.objects.count() == 0


def test_a_torn_line_does_not_take_the_next_one_along() -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    [entry] = take(DEAD)
    file = AnswerFile(DEAD)
    answered(entry, BOB, by=file)
    part = file._part
    assert part is not None
    os.write(part._descriptor, b"0123456789 [1,2,")
    part._torn = True
    answered(entry, EVE, by=file)
    die(file)
    assert look() == []
    assert traces() == [(BOB, *DELIVERED), (EVE, *DELIVERED)]


def test_lapsed_leases_wait_while_another_worker_reads_what_they_were_answered() -> None:
    intake.accept([a_submission(to=[BOB]), a_submission(to=[EVE])])
    first, _ = take(DEAD)
    file = AnswerFile(DEAD)
    answered(first, BOB, by=file)
    die(file)
    lapse()
    from spool.flow.takeover import _alone

    with _alone() as is_alone:
        assert is_alone
        assert look() == []
    assert Trace.objects.count() == 0


def test_a_file_is_bounded_and_gone_when_everything_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LARGE_BYTES", 1000)
    intake.accept([a_submission(to=[BOB]) for _ in range(8)])
    entries = take(DEAD)
    file = AnswerFile(DEAD)
    for entry in entries:
        answered(entry, BOB, by=file)
    assert len(files()) > 1
    file.recorded(entry.id for entry in entries)
    [name] = files()
    assert (settings.HOME.answers / name).stat().st_size < 1300
    file.rest()
    assert (settings.HOME.answers / name).stat().st_size < 200
    file.close()
    assert files() == []


def test_a_disk_that_takes_no_answers_stops_no_mail(caplog: pytest.LogCaptureFixture) -> None:
    intake.accept([a_submission(to=[BOB])])
    [entry] = take(DEAD)
    settings.HOME.answers.write_text("not a folder")
    file = AnswerFile(DEAD)
    answered(entry, BOB, by=file)
    answered(entry, BOB, by=file)
    file.close()
    assert caplog.text.count("can't be noted") == 1
    lapse()
    assert [one.file_name for one in look()] == [entry.file_name]
