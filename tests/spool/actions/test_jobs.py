"""Bulk jobs: in the background, in chunks, by whoever lives."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_rq
import pytest
from django.db import connection
from django.utils import timezone
from redis import Redis
from rq import Queue

from spool import tasks
from spool.actions import Actor, cancel, jobs, pace, perform, undo
from spool.actions.delete import Delete
from spool.actions.undo_job import Undo
from spool.filters import SpoolFilter
from spool.flow import doorbell, intake
from spool.models import AuditEvent, BulkJob, Entry, JobState, Recipient, Trashed, TrashedRecipient
from spool.monitoring import programs
from spool.monitoring.programs import Known, Live
from spool.places import trash
from spool.rows import statements, trashed
from spool.worker import PassWorker
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

ALL = SpoolFilter(sender="ann@example.org")


@pytest.fixture
def many() -> int:
    intake.accept([a_submission() for _ in range(30)])
    return 30


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Delete, "chunk", 7)
    monkeypatch.setattr(Undo, "chunk", 7)


class Killed(BaseException):
    """What SIGKILL is to a process: nothing more is done."""


def killed_after(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, but the process dies in the call after so many."""
    made = 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal made
        made += 1
        if made > calls:
            raise Killed
        return function(*arguments, **options)

    return call


def lapse(job: BulkJob) -> None:
    BulkJob.objects.filter(id=job.id).update(lease_until=timezone.now() - timedelta(seconds=1))


def work_off() -> None:
    PassWorker([django_rq.get_queue("maintenance")], connection=django_rq.get_connection("maintenance")).work(
        burst=True
    )


def test_large_work_is_done_by_a_maintenance_worker_and_audited(admin: Actor, many: int) -> None:
    outcome = perform("delete", ALL, admin, background=True)
    assert not outcome.finished
    assert Entry.objects.count() == many
    work_off()
    assert not Entry.objects.exists()
    job = BulkJob.objects.get()
    assert (job.state, job.done, job.total, job.percent) == (JobState.DONE, many, many, 100)
    event = AuditEvent.objects.get()
    assert (event.outcome, event.matched, event.done) == ("30 deleted", many, many)
    assert event.on == "messages from ann@example.org"
    undone = undo(admin, event_id=event.id, background=True)
    assert undone.sentence == "Undo: 30 messages, in the background."
    work_off()
    assert Entry.objects.count() == many
    job = BulkJob.objects.get(action="undo")
    assert (job.state, job.done, job.total, job.percent) == (JobState.DONE, many, many, 100)
    assert AuditEvent.objects.first().outcome == "30 put back"  # type: ignore[union-attr]


@pytest.mark.usefixtures("small_chunks")
def test_a_job_is_left_to_another_machine_after_the_chunk_in_hand(
    admin: Actor, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = perform("delete", ALL, admin, background=True)
    work, chunks = Delete.work, []

    def work_and_drain(*arguments: Any) -> None:
        work(*arguments)
        chunks.append(arguments)
        programs.learn(Known(Live(1, 1), drain="now"))

    monkeypatch.setattr(programs, "_known", programs.known())
    monkeypatch.setattr(Delete, "work", work_and_drain)
    tasks.run_bulk_job(outcome.job.id)
    job = BulkJob.objects.get()
    assert (job.state, job.done, job.leased_by, len(chunks)) == (JobState.RUNNING, 7, "", 1)
    # It is in the queue again: another machine's worker goes on at once.
    monkeypatch.undo()
    monkeypatch.setattr(programs, "_known", Known(Live(1, 1)))
    work_off()
    assert not Entry.objects.exists()
    assert BulkJob.objects.get().state == JobState.DONE


def test_mail_that_came_after_the_job_was_made_is_not_its_business(admin: Actor, many: int) -> None:
    outcome = perform("delete", ALL, admin, background=True)
    intake.accept([a_submission(subject="new")])
    jobs.work(outcome.job.id, pace=False)
    assert Entry.objects.get().subject == "new"


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("module", "name", "after"),
    [(trash, "take", 2), (jobs, "_advance", 2), (jobs, "_end", 0), (jobs, "_write_down", 0)],
)
def test_a_killed_job_goes_on_where_it_was_and_every_message_is_deleted_once(
    admin: Actor, many: int, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, after: int
) -> None:
    outcome = perform("delete", ALL, admin, background=True)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(module, name, killed_after(after, getattr(module, name)))
        jobs.work(outcome.job.id, pace=False)
    # Its lease holds, so nobody else begins.
    jobs.work(outcome.job.id, pace=False)
    assert BulkJob.objects.get().state == JobState.RUNNING
    lapse(outcome.job)
    tasks.sweep()
    BulkJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    work_off()
    job = BulkJob.objects.get()
    assert (job.state, job.done, job.skipped) == (JobState.DONE, many, 0)
    assert AuditEvent.objects.get().outcome == "30 deleted"
    assert Trashed.objects.count() == TrashedRecipient.objects.count() == many
    assert undo(admin, event_id=outcome.event.id).job.done == many
    assert all(store_has(entry) for entry in Entry.objects.all())


def store_has(entry: Entry) -> bool:
    from spool.files.store import path_of

    return path_of(entry.subspool, entry.file_name).stat().st_size == entry.size_bytes


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("module", "name", "after"), [(trashed, "restore", 1), (jobs, "_advance", 2), (jobs, "_write_down", 0)]
)
def test_a_killed_undo_goes_on_where_it_was(
    admin: Actor, many: int, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, after: int
) -> None:
    event = perform("delete", ALL, admin).event
    outcome = undo(admin, event_id=event.id, background=True)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(module, name, killed_after(after, getattr(module, name)))
        jobs.work(outcome.job.id, pace=False)
    lapse(outcome.job)
    tasks.sweep()
    BulkJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    work_off()
    job = BulkJob.objects.get(action="undo")
    assert (job.state, job.done, job.skipped) == (JobState.DONE, many, 0)
    event.refresh_from_db()
    assert event.undone == many
    assert Entry.objects.count() == many
    assert all(store_has(entry) for entry in Entry.objects.all())
    assert not Trashed.objects.exists()


def test_an_undo_waits_for_redis_and_is_begun_by_the_sweep(
    admin: Actor, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = perform("delete", ALL, admin).event
    with monkeypatch.context() as patched:
        away = Redis.from_url("unix:///nowhere/redis.sock")
        patched.setattr(doorbell, "maintenance_queue", lambda: Queue("maintenance", connection=away))
        assert not undo(admin, event_id=event.id, background=True).finished
    BulkJob.objects.update(created=timezone.now() - timedelta(minutes=2))
    tasks.sweep()
    BulkJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    work_off()
    assert Entry.objects.count() == many


def test_the_undo_of_an_action_is_not_begun_twice(admin: Actor, many: int) -> None:
    event = perform("delete", ALL, admin).event
    first = undo(admin, event_id=event.id, background=True)
    assert undo(admin, event_id=event.id, background=True).job == first.job
    work_off()
    assert Entry.objects.count() == many


@pytest.mark.usefixtures("small_chunks")
def test_a_cancelled_undo_leaves_the_rest_in_the_trash(admin: Actor, many: int) -> None:
    event = perform("delete", ALL, admin).event
    outcome = undo(admin, event_id=event.id, background=True)
    jobs.work(outcome.job.id, progress=lambda job: assert_cancelled(job, admin), pace=False)
    assert (Entry.objects.count(), Trashed.objects.count()) == (7, many - 7)
    outcome.event.refresh_from_db()
    assert outcome.event.outcome == "Cancelled by root@example.org: 7 put back"
    assert undo(admin, event_id=event.id).job.done == many - 7


def assert_cancelled(job: BulkJob, actor: Actor) -> None:
    assert cancel(job.id, actor)


@pytest.mark.usefixtures("small_chunks")
def test_a_cancelled_job_stops_after_its_chunk(admin: Actor, many: int) -> None:
    outcome = perform("delete", ALL, admin, background=True)

    def progress(job: BulkJob) -> None:
        assert cancel(job.id, admin)

    jobs.work(outcome.job.id, progress=progress, pace=False)
    job = BulkJob.objects.get()
    assert (job.state, job.done) == (JobState.CANCELLED, 7)
    assert Entry.objects.count() == many - 7
    outcome.event.refresh_from_db()
    assert outcome.event.outcome == "Cancelled by root@example.org: 7 deleted"
    assert not cancel(job.id, admin)


def test_two_administrators_who_delete_the_same_share_it(admin: Actor, many: int) -> None:
    sentences: list[str] = []

    def delete() -> None:
        sentences.append(perform("delete", ALL, admin).sentence)
        connection.close()

    run_together([delete, delete])
    events = AuditEvent.objects.filter(action="delete")
    assert sum(event.done for event in events) == many
    assert Trashed.objects.count() == TrashedRecipient.objects.count() == many
    assert not Entry.objects.exists()


def test_two_administrators_who_undo_the_same_restore_each_message_once(admin: Actor, many: int) -> None:
    event = perform("delete", ALL, admin).event
    # By job: whoever comes while the other one's is under way is shown that one.
    done: dict[int, int] = {}

    def restore() -> None:
        with suppress(Exception):  # the other one was quicker: there was nothing left
            job = undo(admin, event_id=event.id, background=False).job
            done[job.id] = max(job.done, done.get(job.id, 0))
        connection.close()

    run_together([restore, restore])
    assert sum(done.values()) == many
    assert Entry.objects.count() == many
    assert all(store_has(entry) for entry in Entry.objects.all())


def test_deleting_while_workers_take_entries_leaves_each_to_one_of_them(
    admin: Actor, many: int, take: Callable[..., Sequence[Any]]
) -> None:
    taken: list[int] = []

    def work() -> None:
        while entries := take("worker", 3):
            taken.extend(entry.id for entry in entries)
        connection.close()

    def delete() -> None:
        perform("delete", ALL, admin)
        connection.close()

    run_together([work, delete])
    deleted = set(Trashed.objects.values_list("id", flat=True))
    left = set(Entry.objects.values_list("id", flat=True))
    assert deleted | left == deleted ^ left
    assert len(deleted | left) == many
    assert left <= set(taken)


def test_undo_and_purge_at_once_lose_no_restored_file(admin: Actor, many: int) -> None:
    event = perform("delete", ALL, admin).event

    def purge() -> None:
        trash.purge(timezone.now() + timedelta(days=1), 0)
        connection.close()

    def restore() -> None:
        try:
            undo(admin, event_id=event.id)
        except Exception:  # the purge was quicker
            pass
        connection.close()

    run_together([restore, purge])
    assert not Trashed.objects.exists()
    assert all(store_has(entry) for entry in Entry.objects.all())


def run_together(functions: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.sqlite
def test_on_sqlite_many_entries_in_one_statement_are_deleted_and_put_back(
    admin: Actor, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What comes back is due at once, beyond its sender's share or not.
    names = [field.name for field in Entry._meta.concrete_fields if field.name not in ("due_at", "turn_at")]
    before = list(Entry.objects.order_by("id").values(*names))
    recipients = list(Recipient.objects.order_by("id").values())
    texts: list[str] = []
    execute = trashed.execute
    monkeypatch.setattr(statements, "_LISTED", 5)
    monkeypatch.setattr(trashed, "execute", lambda text, values: (texts.append(text), execute(text, values))[1])
    deleted = perform("delete", ALL, admin)
    assert not Entry.objects.exists() and Trashed.objects.count() == many
    undo(admin, event_id=deleted.event.id)
    assert list(Entry.objects.order_by("id").values(*names)) == before
    assert list(Recipient.objects.order_by("id").values()) == recipients
    assert {text.split()[0] for text in texts if "json_each" in text} == {"SELECT", "INSERT", "DELETE"}


@pytest.mark.sqlite
@pytest.mark.parametrize(("mail_can_wait", "sizes"), [(60.0, [4, 8, 8, 8, 2]), (0.0, [4, 4, 4, 4, 4, 4, 4, 2])])
def test_on_sqlite_a_job_in_the_background_works_on_as_many_at_a_time_as_mail_can_wait_for(
    admin: Actor, many: int, mail_can_wait: float, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "SQLITE_SMALLEST", 4)
    monkeypatch.setattr(pace, "SQLITE_LARGEST", 8)
    monkeypatch.setattr(pace, "SQLITE_SECONDS", mail_can_wait)
    steps: list[Sequence[int]] = []
    monkeypatch.setattr(Delete, "work", _noting(steps, Delete.work))
    perform("delete", ALL, admin, background=True)
    work_off()
    assert [len(step) for step in steps] == sizes
    assert not Entry.objects.exists()
    assert BulkJob.objects.get().done == many


@pytest.fixture
def synced() -> Iterator[None]:
    """As an installation's database is, and those of tests are not."""
    statements.execute(f"PRAGMA synchronous = {FULL}", ())
    yield
    statements.execute("PRAGMA synchronous = OFF", ())


@pytest.mark.sqlite
@pytest.mark.usefixtures("synced")
@pytest.mark.parametrize(("bounce", "synced_by_each"), [(False, False), (True, True)])
def test_on_sqlite_what_can_be_done_again_is_synced_when_mail_does_not_wait_for_it(
    admin: Actor, many: int, bounce: bool, synced_by_each: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[list[int]] = []

    def noted(verb: Delete, *arguments: Any) -> None:
        found.append([_pragma(name) for name in _PRAGMAS])
        work(verb, *arguments)

    work = Delete.work
    monkeypatch.setattr(Delete, "work", noted)
    usual = [_pragma(name) for name in _PRAGMAS]
    assert usual == [FULL, 4000]
    job = perform("delete", ALL, admin, background=True, bounce=bounce).job
    jobs.work(job.id)
    assert found
    assert all(now == (usual if synced_by_each else [NORMAL, 0]) for now in found)
    assert [_pragma(name) for name in _PRAGMAS] == usual
    if not synced_by_each:
        # All of it is in the database itself.
        _, frames, copied = statements.execute("PRAGMA wal_checkpoint(PASSIVE)", ()).fetchone()
        assert frames == copied < 4000


@pytest.mark.sqlite
@pytest.mark.usefixtures("small_chunks")
def test_on_sqlite_a_power_cut_takes_back_whole_pieces_and_the_job_knows_which(
    admin: Actor, many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Path(connection.settings_dict["NAME"])
    journal = database.with_name(f"{database.name}-wal")
    pieces = 0

    def instead_of_checkpoint() -> None:
        nonlocal pieces
        pieces += 1
        if pieces == 4:
            for file in (database, journal):
                shutil.copyfile(file, tmp_path / file.name)

    statements.execute("PRAGMA wal_checkpoint(TRUNCATE)", ()).fetchall()
    monkeypatch.setattr(statements, "_checkpoint", instead_of_checkpoint)
    job = perform("delete", ALL, admin, background=True).job
    jobs.work(job.id)
    assert pieces == 5

    # The power fails, and of what was not synced an end of any length is missing.
    whole = (tmp_path / journal.name).read_bytes()
    seen = set()
    for left in range(len(whole), 0, -len(whole) // 40):
        for file in tmp_path.iterdir():
            if file.name != database.name and file.name != journal.name:
                file.unlink()
        cut = tmp_path / f"{left}.sqlite3"
        shutil.copyfile(tmp_path / database.name, cut)
        (tmp_path / f"{cut.name}-wal").write_bytes(whole[:left])
        with contextlib.closing(sqlite3.connect(cut)) as found:
            assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            (spooled,) = found.execute("SELECT COUNT(*) FROM spool_entry").fetchone()
            trashed = [row[0] for row in found.execute("SELECT id FROM spool_trashed ORDER BY id")]
            noted = found.execute("SELECT done, cursor FROM spool_bulkjob WHERE id = ?", (job.id,)).fetchone()
        assert spooled + len(trashed) == many
        if noted is not None:
            assert noted == (len(trashed), trashed[-1] if trashed else 0)
        seen.add(len(trashed))
    assert seen == {0, 7, 14, 21, 28}


_PRAGMAS = ("synchronous", "wal_autocheckpoint")
NORMAL, FULL = 1, 2


def _pragma(name: str) -> int:
    return int(statements.execute(f"PRAGMA {name}", ()).fetchone()[0])


def _noting(steps: list[Sequence[int]], work: Callable[..., None]) -> Callable[..., None]:
    def noted(verb: Delete, ids: Sequence[int], *arguments: Any) -> None:
        steps.append(ids)
        work(verb, ids, *arguments)

    return noted
