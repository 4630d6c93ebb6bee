"""Bulk jobs of a real worker process that is killed in the midst of them, twice, and followed by another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from mailspool.home import Home
from spool import tasks
from spool.actions import Actor, Outcome, perform, undo
from spool.files.store import path_of
from spool.filters import SpoolFilter
from spool.flow import intake
from spool.maintenance import doctor
from spool.models import BulkJob, Entry, JobState, Recipient, Trashed, TrashedRecipient, TrashState
from tests.support.daemon import Daemon
from tests.support.messages import a_submission
from tests.support.waiting import wait_until
from tests.support.worker import maintenance_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

ALL = SpoolFilter(sender="ann@example.org")
KILLS = 2


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Daemon]:
    worker = maintenance_worker(tmp_path / "worker.log")
    yield worker
    worker.kill()


def fill(count: int) -> None:
    while (missing := count - Entry.objects.count()) > 0:
        intake.accept([a_submission() for _ in range(min(500, missing))])


def work_and_kill(worker: Daemon, outcome: Outcome) -> BulkJob:
    """Have the job worked on by workers that are killed once they have done some of it, and by a last one."""
    jobs = BulkJob.objects.filter(id=outcome.job.id)
    for _ in range(KILLS):
        before = jobs.get().seen
        worker.start()
        wait_until(lambda: jobs.get().seen > before, "the job goes on", 60, every=0.002)  # noqa: B023
        worker.kill()
        assert jobs.get().state == JobState.RUNNING, "the job was over before the worker could be killed"
        # A minute goes by.
        jobs.update(lease_until=timezone.now() - timedelta(seconds=1))
        tasks.sweep()
    worker.start()
    wait_until(lambda: jobs.get().ended_or_cancelled, "the job has ended", 120)
    worker.kill()
    job = jobs.get()
    assert (job.state, job.error) == (JobState.DONE, "")
    return job


def assert_whole(count: int) -> None:
    """So many messages are in the spool, each with its recipient and its file, and nothing is left over."""
    assert Entry.objects.count() == Recipient.objects.count() == count
    for entry in Entry.objects.all():
        assert path_of(entry.subspool, entry.file_name).stat().st_size == entry.size_bytes


def test_a_deletion_and_its_undo_lose_and_double_nothing(
    admin: Actor, worker: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 4_000
    fill(count)
    outcome = perform("delete", ALL, admin, background=True)
    job = work_and_kill(worker, outcome)
    assert (job.done, job.busy, job.skipped) == (count, 0, 0)
    assert Trashed.objects.count() == TrashedRecipient.objects.count() == count
    assert not Entry.objects.exists() and not Recipient.objects.exists()
    outcome.event.refresh_from_db()
    assert outcome.event.outcome == "4,000 deleted"
    monkeypatch.setattr(doctor, "YOUNGEST_SECONDS", -1.0)
    assert list(doctor.examine()) == []
    undone = work_and_kill(worker, undo(admin, event_id=outcome.event.id))
    assert (undone.done, undone.skipped) == (count, 0)
    assert not Trashed.objects.exists() and not TrashedRecipient.objects.exists()
    assert_whole(count)
    assert list(doctor.examine()) == []
    outcome.event.refresh_from_db()
    assert outcome.event.undone == count


def test_a_move_leaves_each_message_in_one_place(admin: Actor, worker: Daemon, home: Home) -> None:
    count = 900
    fill(count)
    names = set(Entry.objects.values_list("file_name", flat=True))
    outcome = perform("move", ALL, admin, background=True)
    job = work_and_kill(worker, outcome)
    assert (job.done, job.busy, job.skipped) == (count, 0, 0)
    outcome.event.refresh_from_db()
    assert outcome.event.outcome == "900 moved"
    assert not Trashed.objects.exclude(state=TrashState.MOVED).exists()
    assert not Entry.objects.exists()
    moved = {path.name for path in (home.root / "moved").iterdir()}
    assert {name for name in moved if name.endswith(".eml")} == names
    assert {f"{name.removesuffix('.json')}.eml" for name in moved if name.endswith(".json")} == names
    assert not [path for path in home.spool.rglob("*.eml")]
    undo(admin, event_id=outcome.event.id, background=False)
    assert_whole(count)
    assert not list((home.root / "moved").iterdir())


def test_one_mailboxs_part_is_taken_once_and_the_others_keep_theirs(
    admin: Actor, worker: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 900
    while (missing := count - Entry.objects.count()) > 0:
        intake.accept([a_submission(to=["bob@example.net", "eve@example.net"]) for _ in range(min(300, missing))])
    outcome = perform("delete", SpoolFilter(mailbox="bob@example.net"), admin, background=True)
    job = work_and_kill(worker, outcome)
    assert (job.done, job.busy, job.skipped) == (count, 0, 0)
    assert_whole(count)
    assert set(Recipient.objects.values_list("address", flat=True)) == {"eve@example.net"}
    assert TrashedRecipient.objects.filter(address="bob@example.net").count() == Trashed.objects.count() == count
    # What a worker linked in the moment of its death is a second name of a file, and nothing else is left over.
    monkeypatch.setattr(doctor, "YOUNGEST_SECONDS", -1.0)
    assert {finding.kind for finding in doctor.examine()} <= {"orphan file"}
    undone = work_and_kill(worker, undo(admin, event_id=outcome.event.id))
    assert (undone.done, undone.skipped) == (count, 0)
    assert_whole(2 * count)


def test_a_redirection_reaches_each_message(admin: Actor, worker: Daemon) -> None:
    fill(1_500)
    job = work_and_kill(worker, perform("redirect", ALL, admin, background=True, next_hop="relay.example.net"))
    assert (job.done, job.skipped) == (1_500, 0)
    assert Entry.objects.filter(next_hop="relay.example.net").count() == 1_500
    assert_whole(1_500)


def test_new_recipients_come_once_each(admin: Actor, worker: Daemon) -> None:
    fill(1_500)
    work_and_kill(worker, perform("redirect", ALL, admin, background=True, to="zoe@example.net"))
    assert Recipient.objects.filter(address="zoe@example.net", status="pending").count() == 1_500
    assert Recipient.objects.filter(address="bob@example.net", status="removed").count() == 1_500


def test_a_copy_is_made_once(admin: Actor, worker: Daemon) -> None:
    fill(300)
    job = work_and_kill(worker, perform("resend", ALL, admin, background=True))
    assert (job.done, job.skipped) == (300, 0)
    assert_whole(600)
