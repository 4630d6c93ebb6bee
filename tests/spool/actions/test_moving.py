"""Move and Put Back: only into allowed folders, and whatever goes wrong, nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from mailspool.home import Home
from spool.actions import Actor, Refused, folders, jobs, move, perform, put_back, put_back_files, undo
from spool.console.message import traces_of
from spool.files.store import path_of
from spool.filters import SpoolFilter
from spool.maintenance import doctor
from spool.message.envelope import LeasedEntry
from spool.models import (
    AuditEvent,
    BulkJob,
    Entry,
    JobState,
    Outcome,
    Recipient,
    Settings,
    Trace,
    Trashed,
    TrashState,
)
from spool.models import settings as spool_settings
from spool.places import trash

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

Spooled = Callable[..., Entry]


@pytest.fixture
def moved(home: Home) -> Path:
    return home.root / "moved"


@pytest.fixture
def allow() -> Callable[[Path], None]:
    def allow(*roots: Path) -> None:
        row = Settings.load()
        row.move_roots = "\n".join(str(root) for root in roots)
        row.full_clean()
        row.save()
        spool_settings.forget()

    return allow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Another file system, of 64 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a file system here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_untouched(entry: Entry, content: bytes) -> None:
    assert Entry.objects.get().id == entry.id
    assert Recipient.objects.filter(entry_id=entry.id).exists()
    assert path_of(entry.subspool, entry.file_name).read_bytes() == content
    assert not Trashed.objects.exists()
    assert not Trace.objects.exists()


def content_of(entry: Entry) -> bytes:
    return path_of(entry.subspool, entry.file_name).read_bytes()


def test_a_moved_message_is_an_eml_and_its_envelope_and_no_entry(admin: Actor, spooled: Spooled, moved: Path) -> None:
    entry = spooled(to=["bob@example.net", "eve@example.net"])
    content = content_of(entry)
    assert perform("move", [entry.id], admin).sentence == "1 moved"
    stem = entry.file_name.removesuffix(".eml")
    assert names(moved) == [f"{stem}.eml", f"{stem}.json"]
    assert (moved / entry.file_name).read_bytes() == content
    envelope = json.loads((moved / f"{stem}.json").read_text())
    assert envelope["sender"] == "ann@example.org"
    assert [r["address"] for r in envelope["recipients"]] == ["bob@example.net", "eve@example.net"]
    assert not Entry.objects.exists()
    assert not path_of(entry.subspool, entry.file_name).exists()
    assert [trace.reply for trace in traces_of(entry.file_name)] == [f"Moved to {moved} by root@example.org"] * 2


def test_a_folder_below_the_root_is_made(admin: Actor, spooled: Spooled, moved: Path) -> None:
    entry = spooled()
    perform("move", [entry.id], admin, folder="case 7/evidence")
    assert (moved / "case 7" / "evidence" / entry.file_name).exists()


@pytest.mark.parametrize(
    "folder",
    ["../elsewhere", "/etc", "a/../../b", "/tmp", "with\nnewline", "a\x00b", "x" * 300, "\u202egnp", "~root/../x"],
)
def test_a_folder_outside_the_roots_is_refused_and_nothing_happens(admin: Actor, spooled: Spooled, folder: str) -> None:
    entry = spooled()
    content = content_of(entry)
    with pytest.raises(Refused):
        perform("move", [entry.id], admin, folder=folder)
    assert_untouched(entry, content)


def test_a_symbolic_link_leads_nowhere(admin: Actor, spooled: Spooled, moved: Path, tmp_path: Path) -> None:
    moved.mkdir()
    (moved / "out").symlink_to(tmp_path)
    entry = spooled()
    content = content_of(entry)
    for folder in ("out", "out/deeper"):
        with pytest.raises(Refused, match="symbolic link"):
            perform("move", [entry.id], admin, folder=folder)
    assert_untouched(entry, content)
    assert names(tmp_path) == []


def test_a_link_that_is_swapped_in_after_the_check_leads_nowhere(
    admin: Actor, spooled: Spooled, moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = spooled()
    content = content_of(entry)
    take = trash.take

    def swap(*arguments: Any) -> Any:
        (moved / "case").rmdir()
        (moved / "case").symlink_to(tmp_path)
        return take(*arguments)

    monkeypatch.setattr(trash, "take", swap)
    outcome = perform("move", [entry.id], admin, folder="case")
    assert outcome.sentence.startswith("0 moved, 1 skipped")
    assert "symbolic link" in outcome.sentence
    assert_untouched(entry, content)
    assert names(tmp_path) == []


def test_a_file_that_is_there_is_never_replaced(admin: Actor, spooled: Spooled, moved: Path) -> None:
    entry, other = spooled(), spooled()
    content = content_of(entry)
    moved.mkdir()
    (moved / entry.file_name).write_text("precious")
    outcome = perform("move", SpoolFilter(), admin)
    assert outcome.sentence == f"1 moved, 1 skipped ({entry.file_name} exists there already.)"
    assert (moved / entry.file_name).read_text() == "precious"
    assert names(moved) == sorted([entry.file_name, other.file_name, other.file_name.replace(".eml", ".json")])
    assert Entry.objects.get().id == entry.id
    assert content_of(entry) == content


def test_another_file_system_gets_a_whole_copy(
    admin: Actor, spooled: Spooled, small_disk: Path, allow: Callable[[Path], None]
) -> None:
    allow(small_disk)
    entry = spooled(size=10_000)
    content = content_of(entry)
    event = perform("move", [entry.id], admin).event
    assert (small_disk / entry.file_name).read_bytes() == content
    undo(admin, event_id=event.id)
    assert content_of(entry) == content
    assert names(small_disk) == []


def test_a_full_disk_leaves_the_message_in_the_spool_and_nothing_in_the_folder(
    admin: Actor, spooled: Spooled, small_disk: Path, allow: Callable[[Path], None]
) -> None:
    allow(small_disk)
    entry = spooled(size=200_000)
    content = content_of(entry)
    assert perform("move", [entry.id], admin).sentence == "0 moved, 1 skipped (No space left on device)"
    assert names(small_disk) == []
    assert_untouched(entry, content)


def test_a_disk_that_fails_leaves_the_message_in_the_spool(
    admin: Actor, spooled: Spooled, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = spooled()
    content = content_of(entry)

    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(folders, "place", fail)
    assert "Input/output error" in perform("move", [entry.id], admin).sentence
    assert names(moved) == []
    assert_untouched(entry, content)


def test_an_entry_on_the_wire_is_not_moved(
    admin: Actor, spooled: Spooled, take: Callable[..., list[LeasedEntry]], moved: Path
) -> None:
    spooled()
    take()
    assert perform("move", SpoolFilter(), admin).sentence == "0 moved, 1 was being delivered"
    assert names(moved) == []


def test_undo_takes_the_message_out_of_the_folder(admin: Actor, spooled: Spooled, moved: Path) -> None:
    entry = spooled()
    content = content_of(entry)
    event = perform("move", [entry.id], admin).event
    assert undo(admin, event_id=event.id).job.done == 1
    assert names(moved) == []
    assert_untouched(entry, content)


def test_a_file_that_was_changed_in_the_folder_is_not_undone(admin: Actor, spooled: Spooled, moved: Path) -> None:
    entry = spooled()
    event = perform("move", [entry.id], admin).event
    (moved / entry.file_name).unlink()
    (moved / entry.file_name).write_bytes(b"other")
    assert undo(admin, event_id=event.id).job.skipped == 1
    assert not Entry.objects.exists()


def test_a_file_that_was_changed_to_others_of_the_same_size_is_not_undone(
    admin: Actor, spooled: Spooled, moved: Path
) -> None:
    entry = spooled()
    event = perform("move", [entry.id], admin).event
    content = (moved / entry.file_name).read_bytes()
    with (moved / entry.file_name).open("r+b") as file:
        file.seek(len(content) - 3)
        file.write(b"???")
    undone = undo(admin, event_id=event.id)
    assert undone.job.skipped == 1
    assert not Entry.objects.exists()
    assert (moved / entry.file_name).exists()


def test_what_an_earlier_version_has_moved_can_still_be_undone(admin: Actor, spooled: Spooled, moved: Path) -> None:
    entry = spooled()
    content = content_of(entry)
    event = perform("move", [entry.id], admin).event
    Trashed.objects.update(fingerprint="")
    assert undo(admin, event_id=event.id).job.done == 1
    assert_untouched(entry, content)


@pytest.mark.parametrize("size", [1000, folders.LARGEST_JSON + 1])
def test_on_another_file_system_a_file_of_the_name_counts_only_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    def link(*arguments: Any, **options: Any) -> None:
        if isinstance(arguments[0], Path):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        really(*arguments, **options)

    really = os.link
    monkeypatch.setattr(os, "link", link)
    source = tmp_path / "source"
    source.write_bytes(b"x" * size)
    (tmp_path / "folder").mkdir()
    folder = os.open(tmp_path / "folder", os.O_RDONLY | os.O_DIRECTORY)
    try:
        folders.place(folder, "a.eml", source)
        folders.place(folder, "a.eml", source)
        folders.copy(folder, "a.eml", source)
        (tmp_path / "folder" / "a.eml").write_bytes(b"x" * (size - 1) + b"y")
        for way in (folders.place, folders.copy):
            with pytest.raises(Refused, match="exists there already"):
                way(folder, "a.eml", source)
    finally:
        os.close(folder)
    assert names(tmp_path / "folder") == ["a.eml"]


@pytest.mark.parametrize("then", ["delivered", "deleted", "in the spool", "not taken"])
def test_what_was_put_back_before_a_crash_is_not_taken_a_second_time(
    admin: Actor, spooled: Spooled, moved: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    entry = spooled(to=["bob@example.net", "eve@example.net"])
    Recipient.objects.filter(address="eve@example.net").update(status=Outcome.DELIVERED)
    Trace.objects.create(**_traced(entry, "eve@example.net"))
    perform("move", [entry.id], admin)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        if then == "not taken":
            patched.setattr(put_back_files.intake, "accept", _killed)
            patched.setattr(put_back_files.os, "rename", _only_once(os.rename))
        else:
            patched.setattr(put_back_files.folders, "remove", _killed)
            patched.setattr(put_back_files.os, "rename", _only_once(os.rename))
        put_back("", admin)
    if then == "delivered":
        Trace.objects.create(**_traced(entry, "bob@example.net"))
        Recipient.objects.all().delete()
        Entry.objects.all().delete()
    elif then == "deleted":
        perform("delete", SpoolFilter(), admin)
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        assert put_back("", admin).done == 1
    assert names(moved) == []
    assert Entry.objects.count() == (then in ("in the spool", "not taken"))


def _only_once(rename: Callable[..., None]) -> Callable[..., None]:
    """The claim is made; the process does not live to give it back."""
    calls: list[object] = []

    def once(*arguments: Any, **options: Any) -> None:
        if not calls:
            rename(*arguments, **options)
        calls.append(arguments)

    return once


def _traced(entry: Entry, recipient: str) -> dict[str, Any]:
    return {
        "file_name": entry.file_name,
        "sender": entry.sender,
        "recipient": recipient,
        "kind": "remote",
        "outcome": Outcome.DELIVERED,
        "reply": "250 ok",
        "size_bytes": entry.size_bytes,
        "attempts": 1,
        "created": entry.created,
        "ended": timezone.now(),
    }


def test_put_back_takes_the_open_recipients_in_anew(admin: Actor, spooled: Spooled, moved: Path) -> None:
    entry = spooled(to=["bob@example.net", "eve@example.net"], attempts=5, priority=3)
    content = content_of(entry)
    Recipient.objects.filter(address="bob@example.net").update(status=Outcome.DELIVERED)
    perform("move", [entry.id], admin)
    assert put_back("", admin).done == 1
    back = Entry.objects.get()
    assert (back.sender, back.attempts, back.priority) == ("ann@example.org", 0, 3)
    assert [r.address for r in back.recipients.all()] == ["eve@example.net"]
    assert content_of(back) == content
    assert names(moved) == []
    assert not Trashed.objects.exists()
    assert [(t.recipient, t.reply) for t in Trace.objects.all()] == [
        ("eve@example.net", f"Moved to {moved} by root@example.org")
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "other"),
        ("recipients", []),
        ("recipients", "x"),
        ("recipients", [{}]),
        ("recipients", [{"address": "a\r\nb@c", "status": "pending"}]),
        ("sender", "no address"),
        ("priority", 9),
        ("envid", "a b"),
    ],
)
def test_an_envelope_that_somebody_has_spoilt_is_refused_and_kept(
    admin: Actor, spooled: Spooled, moved: Path, key: str, value: object
) -> None:
    entry = spooled()
    perform("move", [entry.id], admin)
    path = moved / entry.file_name.replace(".eml", ".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    before = names(moved)
    tally = put_back("", admin)
    assert (tally.done, tally.skipped) == (0, 1)
    assert names(moved) == before
    assert not Entry.objects.exists()


def test_a_link_in_the_place_of_the_eml_is_not_read(admin: Actor, spooled: Spooled, moved: Path) -> None:
    entry = spooled()
    perform("move", [entry.id], admin)
    (moved / entry.file_name).unlink()
    (moved / entry.file_name).symlink_to("/etc/passwd")
    assert put_back("", admin).skipped == 1
    assert not Entry.objects.exists()


def test_what_a_crash_left_before_the_files_were_made_is_moved_to_the_end(
    admin: Actor, spooled: Spooled, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = spooled()
    content = content_of(entry)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(move, "make_files", _killed)
        perform("move", [entry.id], admin)
    assert Trashed.objects.get().state == TrashState.MOVING
    assert path_of(entry.subspool, entry.file_name).exists()
    assert move.finish(timezone.now()) == 0
    assert move.finish(timezone.now() + timedelta(minutes=11)) == 1
    assert (moved / entry.file_name).read_bytes() == content
    assert Trashed.objects.get().state == TrashState.MOVED


def test_what_a_crash_left_and_can_not_be_moved_any_more_is_in_the_spool_again(
    admin: Actor, spooled: Spooled, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = spooled()
    content = content_of(entry)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(move, "make_files", _killed)
        perform("move", [entry.id], admin)
    shutil.rmtree(moved)
    moved.write_text("a file")
    move.finish(timezone.now() + timedelta(minutes=11))
    assert_untouched(entry, content)
    moved.unlink()


def test_the_job_of_a_worker_that_died_within_a_chunk_moves_it_to_the_end(
    admin: Actor, spooled: Spooled, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {spooled().file_name for _ in range(3)}
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(move, "make_files", _killed)
        perform("move", list(Entry.objects.values_list("id", flat=True)), admin)
    job = BulkJob.objects.get()
    Trashed.objects.update(at=timezone.now() - timedelta(minutes=2))
    assert {finding.what for finding in doctor.examine() if finding.kind == "half moved"} == names
    BulkJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    jobs.work(job.id)
    job.refresh_from_db()
    assert (job.state, job.done, job.skipped) == (JobState.DONE, 3, 0)
    assert AuditEvent.objects.get().outcome == "3 moved"
    assert {path.name for path in moved.glob("*.eml")} == names


def _killed(*arguments: Any) -> None:
    raise KeyboardInterrupt
