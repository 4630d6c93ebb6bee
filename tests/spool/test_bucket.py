"""A bucket for large messages: what is there is read like any other, and nothing stays or goes that should not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from base.buckets import Bucket
from mailspool import health
from mailspool.home import Home
from mailspool.inspection.bucket import bucket as inspected
from quarantine.items import transfer
from quarantine.items.transfer import Caught
from quarantine.models import Item, ItemKind
from spool.actions import Actor, perform
from spool.files import bucket, claim, incoming, marks, store
from spool.flow import intake, leases
from spool.flow.intake import IntakeUnavailable
from spool.maintenance import doctor
from spool.message.envelope import LeasedEntry, Submission
from spool.models import Content, ContentPart, Entry, StoredObject, Trace
from spool.models.content import IN_DATABASE
from spool.models.recipient import Outcome
from spool.monitoring import bucket_state
from spool.places import contents, objects, relocation, trash
from spool.rows import contents as content_rows
from spool.rows import statements
from spool.smtpd.uploads import Uploads
from tests.spool.passing import FAR, Spool
from tests.support.messages import a_message, a_submission
from tests.support.s3 import SECRET, Gate, S3Store, s3

__all__ = ["s3"]

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis", "home", "in_bucket"),
]

Take = Callable[..., list[LeasedEntry]]
LARGE = 5 * bucket.READ_BYTES // 4


@pytest.fixture
def in_bucket(s3: S3Store, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    settings.MAILSPOOL_STORE = IN_DATABASE
    # Reading in pieces costs nothing here, and what is silent is given up soon.
    monkeypatch.setattr(bucket, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(bucket, "PUT_SECONDS", 2.0)
    monkeypatch.setattr(contents, "_rests_until", float("-inf"))
    monkeypatch.setattr(relocation, "_rests_until", float("-inf"))
    # The sweeps of a test remove objects when it says so.
    monkeypatch.setattr(objects.tidier, "start", lambda: None)
    claim.forget()
    found = s3.new_bucket()
    s3.tell(settings, found)
    bucket.forget()
    bucket_state.forget()
    yield found
    s3.set(Gate.OPEN)
    bucket.forget()
    bucket_state.forget()


def spilled(content: bytes) -> Submission:
    """A large message as a listener has it when its last byte has come."""
    incoming.prepare()
    path = store.new_incoming()
    path.write_bytes(content)
    return Submission(a_submission(to=f"bob@{FAR}").envelope, spilled=path)


def put(submission: Submission) -> None:
    """Have it put into the bucket, as a listener does."""

    async def main() -> None:
        # One thread, whose connection is closed then.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        try:
            await Uploads().store(submission)
        finally:
            await asyncio.to_thread(_close)

    asyncio.run(main())


def _close() -> None:
    """The calling thread's connection."""
    connection.close()


def taken_in(size: int = LARGE) -> tuple[Entry, bytes]:
    content = a_message(to=f"bob@{FAR}", size=size)
    submission = spilled(content)
    put(submission)
    [name] = intake.accept([submission])
    return Entry.objects.get(file_name=name), content


def read(entry_id: int, *, trashed: bool = False) -> bytes:
    [entry] = leases.look_at([entry_id], trashed=trashed)
    with entry.open() as file:
        content = file.read()
    assert entry.read_head(100) == content[:100]
    return content


def files(home: Home) -> list[Path]:
    return sorted(home.root.rglob("*.eml*")) + list(incoming.files())


def tidied(s3: S3Store, where: Bucket) -> list[str]:
    """The keys of what is there when all that is to go has gone."""
    objects.tidy()
    assert StoredObject.objects.filter(is_doomed=True).count() == 0
    return s3.keys(where)


def test_a_large_message_is_an_object_as_long_as_it_is_kept(home: Home, s3: S3Store, in_bucket: Bucket) -> None:
    entry, content = taken_in()
    small, _ = taken_in(200_000)
    assert read(entry.pk) == content
    assert [key.rpartition("/")[0] for key in s3.keys(in_bucket)] == [f"of/tests/{objects.folder()}"]
    assert StoredObject.objects.get().entry_id == entry.pk
    # The small one alone.
    assert set(ContentPart.objects.values_list("entry_id", flat=True)) == {small.pk}
    assert files(home) == []
    assert list(doctor.examine()) == []
    assert len(tidied(s3, in_bucket)) == 1
    with statements.write_transaction():
        content_rows.remove([entry.pk])
    assert tidied(s3, in_bucket) == []
    assert not StoredObject.objects.exists()


def test_it_is_delivered_and_its_object_goes(spool: Spool, s3: S3Store, in_bucket: Bucket) -> None:
    entry, content = taken_in()
    spool.work()
    assert Trace.objects.get(file_name=entry.file_name).outcome == Outcome.DELIVERED
    assert spool.peer.taken[-1].content.endswith(content)
    assert not Content.objects.exists()
    assert tidied(s3, in_bucket) == []


@pytest.mark.parametrize("gate", [Gate.SHUT, Gate.SILENT])
def test_while_the_bucket_is_away_large_mail_alone_waits_and_spends_no_attempt(
    spool: Spool, s3: S3Store, gate: Gate, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, content = taken_in()
    s3.set(gate)
    with pytest.raises(IntakeUnavailable):
        put(spilled(content))
    began = time.monotonic()
    with pytest.raises(IntakeUnavailable):
        # Who comes right after does not wait for it again.
        put(spilled(content))
    assert time.monotonic() - began < bucket.PUT_SECONDS
    assert files(home) == []
    small = spool.take()
    bucket.forget()
    spool.work()
    assert Trace.objects.get().file_name == small
    entry.refresh_from_db()
    assert (entry.attempts, entry.failures, entry.leased_by) == (0, 0, "")
    assert "It could not be fetched here" in entry.last_error
    s3.set(Gate.OPEN)
    bucket.forget()
    spool.later(minutes=1)
    spool.work()
    assert Trace.objects.filter(file_name=entry.file_name, outcome=Outcome.DELIVERED).exists()
    assert spool.peer.taken[-1].content.endswith(content)


def test_what_was_put_and_never_committed_is_removed_after_an_hour_and_can_be_no_message_then(
    s3: S3Store, in_bucket: Bucket
) -> None:
    submission = spilled(a_message(size=LARGE))
    put(submission)
    assert objects.clear(timezone.now() + timedelta(minutes=50)) == 0
    assert len(s3.keys(in_bucket)) == 1
    assert objects.clear(timezone.now() + timedelta(minutes=70)) == 1
    assert s3.keys(in_bucket) == []
    with pytest.raises(IntakeUnavailable):
        intake.accept([submission])
    assert not Entry.objects.exists() and not Content.objects.exists()


def test_an_object_whose_commit_is_under_way_is_not_removed(s3: S3Store, in_bucket: Bucket) -> None:
    submission = spilled(a_message(size=LARGE))
    put(submission)
    cleared: list[int] = []

    def clear() -> None:
        try:
            cleared.append(objects.clear(timezone.now() + timedelta(hours=2)))
        finally:
            connection.close()

    sweeper = threading.Thread(target=clear)
    with statements.write_transaction():
        stored = intake.write_files(contents.writer(), [submission], intake.current())
        intake.insert_rows(stored, timezone.now(), intake.current())
        sweeper.start()
        sweeper.join(0.5)
        assert sweeper.is_alive(), "it waits for the transaction"
    sweeper.join(30)
    assert cleared == [0]
    assert len(read(Entry.objects.get().pk)) == LARGE


def test_a_commit_that_came_to_nothing_leaves_an_object_that_goes(
    s3: S3Store, in_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("the machine dies here")

    submission = spilled(a_message(size=LARGE))
    put(submission)
    with monkeypatch.context() as patch:
        patch.setattr(intake.traffic_batches, "receipts", broken)
        with pytest.raises(IntakeUnavailable):
            intake.accept([submission])
    assert not Entry.objects.exists()
    assert len(tidied(s3, in_bucket)) == 1
    assert objects.clear(timezone.now() + timedelta(hours=2)) == 1
    assert s3.keys(in_bucket) == []


def test_one_that_took_too_long_refuses_no_other_message_of_its_batch(in_bucket: Bucket) -> None:
    from spool.smtpd import committer

    late = spilled(a_message(size=LARGE))
    put(late)
    objects.clear(timezone.now() + timedelta(hours=2))
    results = committer._commit(contents.writer(), [a_submission(), late, a_submission()])
    assert [isinstance(result, str) for result in results] == [True, False, True]
    assert Entry.objects.count() == 2


def test_two_messages_that_were_one_share_it_until_both_have_ended(
    admin: Actor, s3: S3Store, in_bucket: Bucket
) -> None:
    submission = spilled(content := a_message(size=LARGE))
    submission.envelope = a_submission(to=["bob@example.net", "eve@example.net"]).envelope
    put(submission)
    [name] = intake.accept([submission])
    entry = Entry.objects.get(file_name=name)
    perform("delete", [entry.pk], admin, mailbox="eve@example.net")
    [part] = StoredObject.objects.exclude(entry_id=entry.pk).values_list("entry_id", flat=True)
    assert part is not None
    assert read(part, trashed=True) == content
    trash.remove([part])
    assert len(tidied(s3, in_bucket)) == 1
    assert read(entry.pk) == content
    perform("delete", [entry.pk], admin)
    assert len(tidied(s3, in_bucket)) == 1
    assert trash.restore([entry.pk], timezone.now()).ids == [entry.pk]
    assert read(entry.pk) == content
    perform("delete", [entry.pk], admin)
    trash.remove([entry.pk])
    assert tidied(s3, in_bucket) == []


def test_it_is_shown_quarantined_and_put_back(take: Take, admin_client: Client, s3: S3Store) -> None:
    entry, content = taken_in()
    for name in ("content", "preview", "source", "download"):
        answer = admin_client.get(f"/admin/spool/entry/message/{entry.file_name}/{name}/")
        assert answer.status_code == 200, name
    assert b"".join(answer.streaming_content) == content  # type: ignore[attr-defined]
    take()
    transfer.take("worker", [Caught(entry.pk, ItemKind.SPAM, "spam")], timezone.now(), 7)
    item = Item.objects.get()
    with item.source.open("rb") as file:
        assert file.read() == content
    assert list(doctor.examine()) == []
    with statements.write_transaction():
        transfer.resend([item.pk], timezone.now())
    assert read(entry.pk) == content


def test_what_is_there_comes_back_into_the_database_or_into_files(
    home: Home, admin: Actor, s3: S3Store, in_bucket: Bucket, settings: Any
) -> None:
    marks.forget()
    assert marks.settle() == []
    claim.accept(this_home=True, first=False)
    (kept, content), (deleted, other), (leased, third) = taken_in(), taken_in(), taken_in()
    perform("delete", [deleted.pk], admin)
    Entry.objects.filter(pk=leased.pk).update(leased_by="worker")
    settings.MAILSPOOL_S3_KB = 0
    objects.tidy()
    objects.tidy()
    # What somebody works on stays until later.
    assert [row.entry_id for row in StoredObject.objects.all()] == [leased.pk]
    assert len(s3.keys(in_bucket)) == 1
    assert (read(kept.pk), read(deleted.pk, trashed=True)) == (content, other)
    Entry.objects.filter(pk=leased.pk).update(leased_by="")
    settings.MAILSPOOL_S3_KB, settings.MAILSPOOL_STORE = 300, "files"
    call_command("spool", "relocate")
    assert read(leased.pk) == third
    assert not Content.objects.exists()
    assert tidied(s3, in_bucket) == []
    for name in marks.FOLDERS:
        for file in (marks.FILE, claim.FILE):
            (home.root / name / file).unlink(missing_ok=True)
    marks.forget(unmarked=True)


def test_the_doctor_finds_what_is_missing_and_what_is_strange(
    s3: S3Store, in_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_in()
    row = StoredObject.objects.get()
    bucket.remove([row.key])
    bucket.put_bytes(f"{objects.folder()}/nobodys", b"x")
    bucket.put_bytes("another-installation/theirs", b"x")
    assert [finding.kind for finding in doctor.examine()] == ["missing object"]
    monkeypatch.setattr(objects, "STRANGE_AFTER", timedelta(0))
    [stray] = [finding for finding in doctor.examine() if finding.kind == doctor.STRAY_OBJECT]
    assert doctor.mend(stray)
    assert s3.keys(in_bucket) == ["of/tests/another-installation/theirs"]
    s3.set(Gate.SHUT)
    assert [finding.kind for finding in doctor.examine()] == ["bucket"]


def test_whoever_asks_is_told_how_the_bucket_is_and_no_secret(s3: S3Store, in_bucket: Bucket, settings: Any) -> None:
    def told() -> tuple[str, bool]:
        bucket.forget()
        bucket_state.forget()
        assert bucket_state.fault() == ""
        bucket_state.looker.wait(30)
        health.forget()
        [check] = [check for check in health.checks() if check.name == "bucket"]
        return check.detail, check.ok

    assert told() == ("answers", True)
    assert [(finding.level.value, finding.subject) for finding in inspected()] == [
        ("ok", "bucket"),
        ("warning", "bucket"),
    ]
    s3.set(Gate.SHUT)
    detail, is_ok = told()
    assert not is_ok
    bucket.forget()
    [finding, _] = inspected()
    assert finding.level.value == "fault"
    assert SECRET not in detail + finding.sentence
    taken = StoredObject.objects.create(key="x", entry_id=1, size_bytes=1, at=timezone.now())
    settings.MAILSPOOL_S3 = None
    [finding] = inspected()
    assert "1 messages are in a bucket, and MAILSPOOL_S3 names none" in finding.sentence
    taken.delete()


def test_nothing_is_removed_while_a_backup_holds_it(s3: S3Store, in_bucket: Bucket) -> None:
    entry, _ = taken_in()
    with statements.write_transaction():
        content_rows.remove([entry.pk])
    objects.hold()
    swept = threading.Thread(target=lambda: (objects.tidy(), connection.close()))
    swept.start()
    swept.join(30)
    assert len(s3.keys(in_bucket)) == 1
    objects.let_go()
    assert tidied(s3, in_bucket) == []
