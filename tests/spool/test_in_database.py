"""MAILSPOOL_STORE=database: no message ever has a file in the spool, whatever becomes of it, and whatever its size."""

from __future__ import annotations

import io
import json
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from accounts.models import Domain
from base.audit.models import AuditEvent
from mailspool.home import Home
from quarantine.items import deletion, transfer
from quarantine.items.transfer import Caught
from quarantine.models import AntivirusSettings, Item, ItemKind
from spool import tasks
from spool.actions import Actor, perform
from spool.actions.export_folder import copy_out
from spool.actions.exports import export
from spool.actions.undo_event import undo
from spool.files import claim, marks, store, working
from spool.flow import intake, leases
from spool.flow.lanes import Want
from spool.flow.rounds import Rounds
from spool.maintenance import doctor
from spool.message.envelope import LeasedEntry, Submission
from spool.models import Content, ContentPart, Entry, Installation, Settings, Trace, Trashed
from spool.models.content import IN_DATABASE
from spool.models.recipient import Outcome
from spool.places import contents, relocation, trash
from spool.rows import contents as content_rows
from spool.rows import statements
from tests.spool.passing import ANN, FAR, Spool
from tests.support.messages import a_message, a_submission

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis", "home", "database_store"),
]

Take = Callable[..., list[LeasedEntry]]
MB = 1024 * 1024
SMALL, LARGE = 2_000, 3 * content_rows.PART_BYTES // 2


@pytest.fixture
def database_store(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MAILSPOOL_STORE = IN_DATABASE
    for module in (contents, relocation):
        monkeypatch.setattr(module, "_rests_until", float("-inf"))
    claim.forget()


@pytest.fixture
def with_files(database_store: None, home: Home) -> Iterator[None]:
    """This home has the files of messages that came in before, or will have them."""
    marks.forget()
    assert marks.settle() == []
    claim.accept(this_home=True, first=False)
    yield
    for name in marks.FOLDERS:
        for file in (marks.FILE, claim.FILE):
            (home.root / name / file).unlink(missing_ok=True)
    marks.forget(unmarked=True)


def files(home: Home) -> list[Path]:
    """Those of messages, wherever one could be."""
    return sorted(home.root.rglob("*.eml*"))


def taken_in(size: int = SMALL, to: Any = "bob@example.net", **envelope: Any) -> tuple[Entry, bytes]:
    submission = a_submission(to=to, content=a_message(size=size))
    submission.envelope = replace(submission.envelope, **envelope)
    assert submission.content is not None
    [name] = intake.accept([submission])
    return Entry.objects.get(file_name=name), submission.content


def read(entry_id: int, *, trashed: bool = False) -> bytes:
    [entry] = leases.look_at([entry_id], trashed=trashed)
    with entry.open() as file:
        content = file.read()
    assert entry.read() == content
    assert entry.read_head(100) == content[:100]
    return content


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_it_is_taken_in_as_rows_of_one_commit(home: Home, size: int) -> None:
    entry, content = taken_in(size)
    assert read(entry.pk) == content
    assert entry.subspool == IN_DATABASE
    assert ContentPart.objects.count() == (0 if size == SMALL else 2)
    assert files(home) == []
    assert list(doctor.examine()) == []


def test_a_spilled_message_is_in_rows_and_its_file_is_gone(home: Home) -> None:
    content = a_message(size=LARGE)
    path = home.spool / "incoming" / "0" / "spilled.tmp"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    submission = Submission(a_submission().envelope, spilled=path)
    [name] = intake.accept([submission])
    assert read(Entry.objects.get(file_name=name).pk) == content
    assert not path.exists()


def test_a_large_message_does_not_come_into_memory(home: Home, take: Take) -> None:
    path = home.spool / "incoming" / "0" / "large.tmp"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(a_message(size=20 * MB))
    copies = working.Copies("worker")
    tracemalloc.start()
    try:
        intake.accept([Submission(a_submission().envelope, spilled=path)])
        [entry] = take()
        contents.copy_to(entry, copies)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert entry.path.stat().st_size == 20 * MB
    assert peak < 8 * MB
    copies.close()


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_it_comes_to_rest_as_it_is_and_is_delivered_at_last(home: Home, spool: Spool, size: int) -> None:
    content = a_message(to=f"bob@{FAR}", size=size)
    spool.peer.on["MAIL"] = "451 4.3.0 not now"
    name = spool.take(content=content)
    spool.work()
    entry = spool.entry(name)
    assert (entry.attempts, entry.subspool) == (1, IN_DATABASE)
    assert files(home) == []
    del spool.peer.on["MAIL"]
    spool.later(hours=1)
    spool.work()
    [trace] = Trace.objects.filter(file_name=name)
    assert trace.outcome == Outcome.DELIVERED, trace.reply
    assert spool.peer.taken[-1].content.endswith(content)
    assert not Content.objects.exists() and not ContentPart.objects.exists()
    assert files(home) == []


def test_it_is_delivered_here_too(home: Home, spool: Spool) -> None:
    for size in (SMALL, LARGE):
        spool.take_for_us(a_message(to=ANN, size=size))
    spool.work()
    assert Trace.objects.filter(outcome=Outcome.DELIVERED).count() == 2
    assert len(spool.mailbox()) == 2
    assert not Content.objects.exists() and not ContentPart.objects.exists()


def test_what_has_no_room_in_memory_is_read_from_a_copy_that_goes_with_the_pass(home: Home) -> None:
    found = [taken_in(10_000) for _ in range(4)]
    rounds = Rounds("worker", [])
    here = rounds.visit([], [], [], Want(entries=10, held_bytes=25_000))
    assert [entry.content is None for entry in here.leased] == [False, False, True, True]
    assert [entry.read() for entry in here.leased] == [content for _, content in found]
    assert [path.parent.name for path in files(home)] == ["worker"] * 2
    assert Content.objects.count() == 4
    rounds.close()
    assert files(home) == []


def test_held_delayed_and_scheduled_messages_stay_in_rows(home: Home, admin: Actor, spool: Spool) -> None:
    held, content = taken_in(LARGE, hold="looked at first")
    taken_in(release=timezone.now() + timedelta(hours=1))
    spool.settings(delivery_delay_seconds=60)
    taken_in()
    spool.work()
    tasks.sweep()
    assert set(Entry.objects.values_list("subspool", flat=True)) == {IN_DATABASE}
    assert files(home) == []
    assert read(held.pk) == content


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_it_is_deleted_put_back_and_purged(home: Home, admin: Actor, size: int) -> None:
    entry, content = taken_in(size)
    perform("delete", [entry.pk], admin)
    assert read(entry.pk, trashed=True) == content
    assert list(doctor.examine()) == []
    assert trash.restore([entry.pk], timezone.now()).ids == [entry.pk]
    assert read(entry.pk) == content
    perform("delete", [entry.pk], admin)
    trash.remove([entry.pk])
    assert not Content.objects.exists() and not ContentPart.objects.exists()
    assert files(home) == []


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_it_is_moved_to_a_folder_and_back(home: Home, admin: Actor, spool: Spool, size: int) -> None:
    folder = home.root / "moved"
    spool.settings(move_roots=str(folder))
    entry, content = taken_in(size)
    moved = perform("move", [entry.pk], admin, folder=str(folder))
    assert (folder / entry.file_name).read_bytes() == content
    assert json.loads((folder / f"{entry.file_name.removesuffix('.eml')}.json").read_text())
    assert moved.event is not None
    undo(admin, event_id=moved.event.pk)
    assert read(entry.pk) == content
    assert files(home) == []


def test_a_recipient_alone_is_deleted(home: Home, admin: Actor) -> None:
    entry, content = taken_in(LARGE, to=["bob@example.net", "eve@example.net"])
    perform("delete", [entry.pk], admin, mailbox="eve@example.net")
    part = Trashed.objects.get()
    assert part.pk != entry.pk
    assert read(entry.pk) == read(part.pk, trashed=True) == content


def test_it_is_exported_copied_out_and_sent_again(home: Home, admin: Actor, tmp_path: Path) -> None:
    found = [taken_in(SMALL), taken_in(LARGE)]
    ids = [entry.pk for entry, _ in found]
    with zipfile.ZipFile(io.BytesIO(b"".join(export(ids, "zip", admin)))) as archive:
        assert [archive.read(entry.file_name) for entry, _ in found] == [content for _, content in found]
    assert copy_out(ids, tmp_path / "out", admin).done == 2
    assert [(tmp_path / "out" / entry.file_name).read_bytes() for entry, _ in found] == [c for _, c in found]
    perform("resend", ids, admin)
    copies = Entry.objects.exclude(pk__in=ids).order_by("size_bytes")
    assert [read(copy.pk) for copy in copies] == [content for _, content in found]
    assert files(home) == []


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_it_is_quarantined_shown_sent_on_and_removed(
    home: Home, admin: Actor, take: Take, admin_client: Client, size: int
) -> None:
    entry, content = taken_in(size)
    take()
    transfer.take("worker", [Caught(entry.pk, ItemKind.SPAM, "spam")], timezone.now(), 7)
    item = Item.objects.get()
    with item.source.open("rb") as file:
        assert file.read() == content
    assert list(doctor.examine()) == []
    assert files(home) == []
    with statements.write_transaction():
        transfer.resend([item.pk], timezone.now())
    assert read(entry.pk) == content
    take("other")
    transfer.take("other", [Caught(entry.pk, ItemKind.VIRUS, "virus")], timezone.now(), 7)
    deletion.remove([Item.objects.get().pk])
    assert not Content.objects.exists() and not ContentPart.objects.exists()


def test_a_scanner_that_reads_files_gets_a_copy(home: Home, spool: Spool, tmp_path: Path) -> None:
    """Also where nothing was ever taken in by a file, and no folder is there for such."""
    shutil.rmtree(home.spool / "incoming", ignore_errors=True)
    program = tmp_path / "scan"
    program.write_text('#!/bin/sh\ngrep -q pretend "$1" && exit 5\nexit 0\n')
    program.chmod(0o755)
    AntivirusSettings.objects.update_or_create(
        pk=1, defaults={"command": f"{program} {{file}}", "command_infected_status": 5}
    )
    for size in (SMALL, LARGE):
        spool.take(content=a_message(size=size) + b"pretend\r\n")
    spool.take()
    spool.work()
    assert (Item.objects.count(), len(spool.peer.taken)) == (2, 1)
    assert files(home) == []


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_console_shows_it(admin_client: Client, size: int) -> None:
    entry, content = taken_in(size)
    for name in ("content", "preview", "source", "download"):
        answer = admin_client.get(f"/admin/spool/entry/message/{entry.file_name}/{name}/")
        assert answer.status_code == 200, name
    assert b"".join(answer.streaming_content) == content  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_what_was_in_files_is_brought_in_and_out_again_wherever_it_is_kept(
    home: Home, admin: Actor, take: Take, with_files: None, settings: Any, size: int
) -> None:
    settings.MAILSPOOL_STORE = "files"
    found = {name: taken_in(size, hold="" if name == "caught" else "later") for name in ("kept", "deleted", "caught")}
    take()
    transfer.take("worker", [Caught(found["caught"][0].pk, ItemKind.SPAM, "spam")], timezone.now(), 7)
    perform("delete", [found["deleted"][0].pk], admin)
    assert len(files(home)) == 3

    def all_as_they_were() -> None:
        assert read(found["kept"][0].pk) == found["kept"][1]
        assert read(found["deleted"][0].pk, trashed=True) == found["deleted"][1]
        with Item.objects.get().source.open("rb") as file:
            assert file.read() == found["caught"][1]
        assert list(doctor.examine()) == []

    settings.MAILSPOOL_STORE = IN_DATABASE
    all_as_they_were()
    tasks.sweep()
    assert files(home) == []
    all_as_they_were()
    settings.MAILSPOOL_STORE = "files"
    all_as_they_were()
    call_command("spool", "relocate")
    assert AuditEvent.objects.get(action="relocate").done == 3
    assert len(files(home)) == 3
    assert not Content.objects.exists() and not ContentPart.objects.exists()
    all_as_they_were()
    with statements.write_transaction():
        transfer.resend([Item.objects.get().pk], timezone.now())
    assert read(found["caught"][0].pk) == found["caught"][1]


def test_what_has_a_file_elsewhere_is_not_leased_here(home: Home, take: Take, with_files: None, settings: Any) -> None:
    settings.MAILSPOOL_STORE = "files"
    elsewhere, _ = taken_in()
    settings.MAILSPOOL_STORE = IN_DATABASE
    here, _ = taken_in()
    Installation.objects.update(files_in="00000000-0000-4000-8000-000000000000")
    claim.forget()
    assert [entry.id for entry in take()] == [here.pk]
    assert list(doctor.examine()) == []
    with pytest.raises(SystemExit):
        call_command("spool", "relocate")
    claim.accept(this_home=True, first=False)
    assert [entry.id for entry in take("other")] == [elsewhere.pk]


def test_a_home_without_the_files_is_refused_unless_it_needs_none(home: Home, with_files: None, settings: Any) -> None:
    assert marks.faults() == []
    Installation.objects.update(
        files_in="00000000-0000-4000-8000-000000000000", files_at="first.test:/var/lib/mailspool", sealed_with="another"
    )
    claim.forget()
    [key] = marks.faults()
    assert "copy the folder keys of first.test:/var/lib/mailspool here" in key
    settings.MAILSPOOL_STORE = "files"
    key, sentence = marks.faults()
    assert "first.test:/var/lib/mailspool" in sentence and "MAILSPOOL_STORE=database" in sentence
    marks.accept()
    assert marks.faults() == [key, sentence]
    Domain.objects.create(name="here.test")
    key, sentence, mailboxes = marks.faults()
    assert "have mail for users here go by LMTP" in mailboxes
    Settings.objects.update(local_store="lmtp")
    assert marks.faults() == [key, sentence]
    marks.accept(this_home=True)
    assert marks.faults() == []


@pytest.mark.usefixtures("with_files")
@pytest.mark.parametrize("committed", [True, False])
def test_a_message_brought_out_stays_when_the_answer_of_the_commit_is_lost(
    committed: bool, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, content = taken_in()
    settings.MAILSPOOL_STORE = "files"
    write_transaction = statements.write_transaction

    @contextmanager
    def failing() -> Iterator[None]:
        with write_transaction():
            yield
            if not committed:
                raise OperationalError("server closed the connection unexpectedly")
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(statements, "write_transaction", failing)
        with pytest.raises(OperationalError):
            list(relocation.chunks())
    entry.refresh_from_db()
    assert (entry.subspool != IN_DATABASE) == committed
    list(relocation.chunks())
    entry.refresh_from_db()
    assert store.path_of(entry.subspool, entry.file_name).read_bytes() == content
