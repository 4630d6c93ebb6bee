"""A small message has no file until it comes to rest, and is read, kept and removed all the same."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import Error as DatabaseError
from django.utils import timezone

from mailspool.home import Home
from spool import tasks
from spool.actions import Actor, perform
from spool.actions.export_folder import copy_out
from spool.actions.exports import export
from spool.files import store
from spool.flow import inline, intake, leases, outcomes
from spool.flow.lanes import Want
from spool.flow.rounds import Failure, Rounds
from spool.maintenance import doctor
from spool.message.envelope import DeliveryReport, LeasedEntry, RecipientResult, Submission, WaitUntil
from spool.models import Content, Entry, Settings, Trace, Trashed
from spool.models.entry import Status
from spool.models.recipient import Kind, Outcome
from spool.monitoring.heartbeat import Heart
from spool.places import contents
from spool.rows import contents as content_rows
from spool.rows import statements
from tests.spool.passing import ANN, FAR, Spool
from tests.support.messages import a_message, a_submission
from tests.support.redis import RedisServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home", "in_rows")]

Take = Callable[..., list[LeasedEntry]]


def files(home: Home) -> list[Path]:
    return sorted(home.spool.rglob("*.eml*"))


def in_database() -> dict[int, bytes]:
    return {row.entry_id: bytes(row.content) for row in Content.objects.all()}


def taken_in(submission: Submission | None = None) -> tuple[Entry, bytes]:
    submission = submission or a_submission()
    assert submission.content is not None
    [name] = intake.accept([submission])
    return Entry.objects.get(file_name=name), submission.content


def path_of(entry: Entry) -> Path:
    return store.path_of(entry.subspool, entry.file_name)


def reports(leased: Sequence[LeasedEntry], outcome: Outcome) -> list[DeliveryReport]:
    return [
        DeliveryReport(entry, [RecipientResult(one, outcome, "450 4.2.0 later") for one in entry.recipients])
        for entry in leased
    ]


def record(found: Sequence[DeliveryReport], owner: str = "worker") -> None:
    outcomes.record(owner, found, contents.writer(), Settings.load(), timezone.now())


def test_a_small_message_is_durable_without_a_file(home: Home) -> None:
    entry, content = taken_in()
    assert in_database() == {entry.pk: content}
    assert files(home) == []
    assert (home.spool / entry.subspool).is_dir()


def test_what_is_larger_or_has_to_wait_has_its_file_at_once(home: Home, spool: Spool) -> None:
    large, _ = taken_in(a_submission(content=a_message(size=65 * 1024)))
    held = a_submission()
    held.envelope = replace(held.envelope, hold="looked at first")
    on_hold, _ = taken_in(held)
    spool.settings(delivery_delay_seconds=60)
    delayed, _ = taken_in()
    assert files(home) == sorted(map(path_of, [large, on_hold, delayed]))
    assert in_database() == {}


def test_a_batch_may_have_both_kinds(home: Home, take: Take) -> None:
    small, large = a_submission(), a_submission(content=a_message(size=100_000))
    names = intake.accept([small, large])
    assert [path.name for path in files(home)] == names[1:]
    assert [entry.read() for entry in take()] == [small.content, large.content]


def test_one_query_more_reads_the_content_of_a_batch(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    submissions = [a_submission() for _ in range(30)]
    intake.accept(submissions)
    asked: list[str] = []
    execute = statements.execute

    def counted(statement: str, *arguments: object, **options: object) -> object:
        asked.append(statement)
        return execute(statement, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(content_rows, "execute", counted)
    entries = take()
    assert len(asked) == 1
    assert [entry.content for entry in entries] == [one.content for one in submissions]


def test_delivery_leaves_nothing(home: Home, take: Take) -> None:
    intake.accept([a_submission() for _ in range(3)])
    record(reports(take(), Outcome.DELIVERED))
    assert in_database() == {}
    assert files(home) == []
    assert Entry.objects.count() == 0


def test_a_deferred_message_has_its_file_before_its_row_says_so(
    home: Home, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, content = taken_in()
    leased = take()
    seen: list[bool] = []
    remove = content_rows.remove

    def looked(ids: Sequence[int]) -> set[int]:
        seen.extend(path_of(entry).read_bytes() == content for _ in ids)
        return remove(ids)

    monkeypatch.setattr(content_rows, "remove", looked)
    record(reports(leased, Outcome.PENDING))
    assert seen == [True]
    assert in_database() == {}
    assert path_of(entry).read_bytes() == content
    [again] = take(now=timezone.now() + timedelta(days=1))
    assert again.content is None
    assert again.read() == content
    record(reports([again], Outcome.DELIVERED))
    assert files(home) == []


def test_a_full_disk_leaves_what_rests_in_its_row(home: Home, take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, content = taken_in()
    leased = take()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(store, "write_all", full)
        record(reports(leased, Outcome.PENDING))
    assert in_database() == {entry.pk: content}
    assert Entry.objects.get().status == Status.WAITING
    tasks.sweep()
    assert in_database() == {}
    assert path_of(entry).read_bytes() == content


def test_a_transaction_that_fails_leaves_row_and_file_and_nothing_is_lost(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the sync of the file and the commit."""
    entry, content = taken_in()
    leased = take()

    def broken(*_: object) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patched, pytest.raises(DatabaseError):
        patched.setattr(outcomes, "_record_outcomes", broken)
        record(reports(leased, Outcome.PENDING))
    assert in_database() == {entry.pk: content}
    assert path_of(entry).exists()
    assert [finding.kind for finding in doctor.examine()] == []
    [later] = take("another", now=timezone.now() + timedelta(minutes=5))
    record(reports([later], Outcome.DELIVERED), "another")
    assert in_database() == {}
    # The file that nobody knows of any more goes with the hourly maintenance.
    assert [finding.kind for finding in doctor.examine()] == [doctor.LEFTOVER]
    tasks.forget()
    assert not path_of(entry).exists()


@pytest.fixture
def rounds() -> Iterator[Rounds]:
    made = Rounds("worker", [])
    yield made
    made.close()


def test_what_rests_in_a_stage_or_is_set_aside_has_its_file(home: Home, take: Take, rounds: Rounds) -> None:
    (one, _), (other, _) = taken_in(), taken_in()
    first, second = take()
    resting = WaitUntil(timezone.now() + timedelta(minutes=1), Status.THROTTLED, "too much")
    rounds.visit([], [Failure(second, "Traceback\nValueError: no")], [(first, resting)], Want())
    assert in_database() == {}
    assert files(home) == [path_of(one), path_of(other)]


def test_what_has_no_room_in_memory_gets_its_file(home: Home, rounds: Rounds) -> None:
    found = [taken_in(a_submission(content=a_message(size=10_000))) for _ in range(4)]
    here = rounds.visit([], [], [], Want(entries=10, held_bytes=25_000))
    assert [entry.content is None for entry in here.leased] == [False, False, True, True]
    assert [entry.read() for entry in here.leased] == [content for _, content in found]
    assert files(home) == [path_of(entry) for entry, _ in found[2:]]
    assert list(in_database()) == [entry.pk for entry, _ in found[:2]]


def test_what_is_given_back_stays_in_its_row(home: Home, take: Take, rounds: Rounds) -> None:
    entry, content = taken_in()
    rounds.give_back([one.id for one in take()])
    assert in_database() == {entry.pk: content}
    assert files(home) == []


def test_held_messages_and_those_that_nobody_takes_up_get_their_files(home: Home, admin: Actor) -> None:
    (held, _), (old, _), (young, _) = taken_in(), taken_in(), taken_in()
    perform("hold", [held.pk], admin)
    Entry.objects.filter(pk=old.pk).update(created=timezone.now() - timedelta(minutes=5))
    tasks.sweep()
    assert files(home) == [path_of(held), path_of(old)]
    assert list(in_database()) == [young.pk]


def test_a_deleted_message_comes_back_with_its_bytes(home: Home, admin: Actor) -> None:
    entry, content = taken_in()
    perform("delete", [entry.pk], admin)
    assert in_database() == {}
    assert path_of(entry).read_bytes() == content
    assert Trashed.objects.count() == 1


def test_a_moved_message_is_a_file_in_its_folder(home: Home, admin: Actor, spool: Spool) -> None:
    spool.settings(move_roots=str(home.root / "moved"))
    entry, content = taken_in()
    perform("move", [entry.pk], admin, folder=str(home.root / "moved"))
    assert (home.root / "moved" / entry.file_name).read_bytes() == content
    assert files(home) == []
    assert in_database() == {}


def test_a_recipient_alone_is_deleted(home: Home, admin: Actor) -> None:
    entry, content = taken_in(a_submission(to=["bob@example.net", "eve@example.net"]))
    perform("delete", [entry.pk], admin, mailbox="eve@example.net")
    part = Trashed.objects.get()
    assert path_of(entry).read_bytes() == content
    assert store.path_of(part.subspool, part.file_name).read_bytes() == content
    assert in_database() == {}


def test_it_is_exported_and_copied_out(home: Home, admin: Actor, tmp_path: Path) -> None:
    entry, content = taken_in()
    with zipfile.ZipFile(io.BytesIO(b"".join(export([entry.pk], "zip", admin)))) as archive:
        assert archive.read(entry.file_name) == content
    for _ in range(2):
        assert copy_out([entry.pk], tmp_path / "out", admin).done == 1
    assert (tmp_path / "out" / entry.file_name).read_bytes() == content
    assert files(home) == []


def test_a_copy_is_sent_again(admin: Actor) -> None:
    entry, content = taken_in()
    perform("resend", [entry.pk], admin)
    assert sorted(in_database().values()) == [content, content]


def test_a_notice_returns_the_header_of_a_message_without_a_file(take: Take) -> None:
    entry, _ = taken_in(a_submission(subject="Nobody reads this"))
    found = [
        DeliveryReport(one, [RecipientResult(who, Outcome.BOUNCED, "550 no", "5.1.1") for who in one.recipients])
        for one in take()
    ]
    record(found)
    [(number, notice)] = in_database().items()
    assert number != entry.pk
    assert b"Nobody reads this" in notice


def test_it_is_delivered_here_and_elsewhere(home: Home, spool: Spool) -> None:
    spool.take()
    spool.take_for_us(a_message(to=ANN))
    spool.work()
    assert Trace.objects.filter(outcome=Outcome.DELIVERED).count() == 2
    assert in_database() == {}
    assert files(home) == []


def test_a_host_that_says_later_is_tried_again_from_the_file(home: Home, spool: Spool) -> None:
    spool.dns.fail(f"nowhere.{FAR}", "SERVFAIL")
    name = spool.take(f"bob@nowhere.{FAR}")
    spool.work()
    entry = Entry.objects.get(file_name=name)
    assert entry.attempts == 1
    assert files(home) == [path_of(entry)]
    assert in_database() == {}


def test_stray_content_is_kept_aside(home: Home) -> None:
    entry, content = taken_in()
    Entry.objects.all().delete()
    [stray] = [finding for finding in doctor.examine() if finding.kind == doctor.STRAY_CONTENT]
    assert doctor.mend(stray)
    assert (home.root / "lost+found" / f"{entry.pk}.eml").read_bytes() == content
    assert list(doctor.examine()) == []


def test_messages_without_a_file_count_for_their_subspool(spool: Spool) -> None:
    spool.settings(subspool_size=1000)
    writer = contents.writer()
    try:
        for _ in range(11):
            intake.commit(writer, [a_submission() for _ in range(100)])
    finally:
        writer.close()
    assert Entry.objects.order_by().values("subspool").distinct().count() == 2


def test_files_only_while_a_worker_of_before_is_alive(redis: RedisServer) -> None:
    heart = Heart("workers")
    heart.beat()
    assert inline.look()
    with redis.client() as client:
        client.hset("mailspool:worker:mail:old:77", mapping={"alive": "1"})
        assert not inline.look()
        client.delete("mailspool:worker:mail:old:77")
    assert inline.look()


def test_leases_are_read_with_what_they_are_about(take: Take) -> None:
    entry, content = taken_in(a_submission(kind=Kind.LOCAL, to=ANN))
    [seen] = leases.look_at([entry.pk])
    assert seen.read() == content
    assert seen.read_head(10) == content[:10]
    with seen.open() as file:
        assert file.read() == content
