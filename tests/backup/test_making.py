"""A backup has exactly the files that the rows of its snapshot name, whatever moves meanwhile."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from mailspool.backup import keeping, making, snapshot
from mailspool.backup.progress import Progress
from mailspool.backup.wanted import Wanted
from quarantine.items import deletion, transfer
from quarantine.items.transfer import Caught
from quarantine.models import Item, ItemKind
from spool.actions import Actor, perform
from spool.delivery.local.maildir import folder_of
from spool.dropfolder import drop_folder
from spool.files import marks, removal
from spool.flow import inline, intake, leases
from spool.models import Content, Entry, Trashed
from spool.places import trash
from spool.rows import statements
from tests.backup.conftest import contents_of, lines_of
from tests.support.commands import Manage
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def made(manage: Manage, target: Path, *options: str) -> dict[str, Any]:
    ran = manage("backup", str(target), "--json", "--quiet", *options)
    assert ran.status == 0, ran.err
    found: dict[str, Any] = ran.json
    return found


def after_the_snapshot(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Have something happen between the snapshot and the copying of the first file."""
    fill = Wanted.fill

    def filled(self: Wanted) -> None:
        fill(self)
        happens()

    monkeypatch.setattr(Wanted, "fill", filled)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def deliver_all() -> None:
    """Have all mail leave the spool, as workers do."""
    from spool.files import store
    from spool.flow import outcomes
    from spool.message.envelope import DeliveryReport, RecipientResult
    from spool.models import Outcome, Settings

    Entry.objects.filter(hold=False).update(due_at=timezone.now())
    with statements.write_transaction():
        due = leases.take("worker", timezone.now(), 100, straight=True, no_delay=True)
    reports = [
        DeliveryReport(entry, [RecipientResult(one, Outcome.DELIVERED, "250 ok") for one in entry.recipients])
        for entry in due
    ]
    outcomes.record("worker", reports, store.Writer(), Settings.load(), timezone.now())


def test_a_backup_has_the_file_of_each_row(manage: Manage, mail: dict[str, bytes], target: Path) -> None:
    summary = made(manage, target)
    assert contents_of(target, Path(summary["backup"])) == mail
    assert summary["messages"] == len(mail) == 4
    header, *_, end = lines_of(Path(summary["backup"]))
    assert header["format"] == "mailspool-backup-1"
    assert header["engine"] == snapshot.connection.vendor
    assert header["migrations"]["spool"][0] == "0001_initial"
    assert end == {"end": True, "files": summary["files"], "bytes": summary["bytes"], "missing": 0}


def test_mail_that_leaves_between_the_snapshot_and_the_copying_is_in_the_backup(
    manage: Manage, mail: dict[str, bytes], target: Path, monkeypatch: pytest.MonkeyPatch, admin: Actor
) -> None:
    def all_leaves() -> None:
        deliver_all()
        later = timezone.now() + timedelta(days=100)
        trash.purge(later, 1)
        deletion.remove_expired(later)
        assert Entry.objects.count() == 1
        assert Trashed.objects.count() == Item.objects.count() == 0
        files = [path for top in ("spool", "quarantine") for path in (django_settings.HOME.root / top).rglob("*.eml")]
        assert len([path for path in files if removal.FOLDER not in path.parts]) == 1

    after_the_snapshot(monkeypatch, all_leaves)
    summary = made(manage, target)
    assert contents_of(target, Path(summary["backup"])) == mail
    # And then nothing is kept any more.
    assert list(django_settings.HOME.root.rglob(f"{removal.FOLDER}*")) == []


def test_mail_that_is_moved_between_the_snapshot_and_the_copying_is_in_the_backup(
    manage: Manage, mail: dict[str, bytes], target: Path, monkeypatch: pytest.MonkeyPatch, admin: Actor
) -> None:
    def all_moves() -> None:
        with statements.write_transaction():
            [entry] = leases.take("stage", timezone.now() + timedelta(days=1), 10, straight=True, no_delay=True)
        with statements.write_transaction():
            transfer.resend(list(Item.objects.values_list("id", flat=True)), timezone.now())
        transfer.take("stage", [Caught(entry.id, ItemKind.VIRUS, "EICAR")], timezone.now(), 30)
        perform(
            "move",
            list(Entry.objects.filter(hold=True).values_list("id", flat=True)),
            admin,
            folder=str(django_settings.HOME.root / "moved" / "here"),
        )

    after_the_snapshot(monkeypatch, all_moves)
    summary = made(manage, target)
    assert contents_of(target, Path(summary["backup"])) == mail


def test_a_message_whose_content_is_in_the_database_is_counted_and_has_no_file(
    manage: Manage, mail: dict[str, bytes], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline, "limit_bytes", lambda: 64 * 1024)
    intake.accept([a_submission()])
    assert Content.objects.count() == 1
    ran = manage("backup", str(target))
    assert ran.status == 0
    assert "4 messages with files" in ran.err
    assert "1 whose content is in the database" in ran.err
    assert "5 messages, 0 in Maildirs" in ran.out
    assert contents_of(target, Path(ran.out.partition(": ")[0])) == mail


def test_mail_that_comes_in_after_the_snapshot_is_not_in_the_backup(
    manage: Manage, mail: dict[str, bytes], target: Path, monkeypatch: pytest.MonkeyPatch, spooled: Any
) -> None:
    after_the_snapshot(monkeypatch, lambda: spooled(subject="late"))
    summary = made(manage, target)
    assert contents_of(target, Path(summary["backup"])) == mail


def test_what_is_kept_and_not_needed_is_let_go_while_the_backup_runs(spooled: Any, tmp_path: Path) -> None:
    spooled()
    with keeping.Keeping(django_settings.HOME) as kept_files:
        deliver_all()
        folder = django_settings.HOME.spool / removal.FOLDER
        [name] = names_in(folder)
        kept_files.prune(lambda names: names, at_once=True)
        assert names_in(folder) == [name]
        kept_files.prune(lambda names: set(), at_once=True)
        assert names_in(folder) == []


def test_a_second_backup_reads_only_what_is_new(
    manage: Manage, mail: dict[str, bytes], target: Path, spooled: Any
) -> None:
    first = made(manage, target)
    keys = first["new_files"] - 4
    entry = spooled(subject="new")
    second = made(manage, target)
    assert second["new_files"] == keys + 1
    assert second["messages"] == 5
    path = f"spool/{entry.subspool}/{entry.file_name}"
    assert contents_of(target, Path(second["backup"])) == {
        **mail,
        path: (django_settings.HOME.root / path).read_bytes(),
    }
    assert contents_of(target, Path(first["backup"])) == mail


def test_a_content_that_a_killed_backup_has_left_half_written_is_written_again(
    manage: Manage, mail: dict[str, bytes], target: Path
) -> None:
    summary = made(manage, target, "--copy")
    backup = Path(summary["backup"])
    for line in lines_of(backup):
        if line.get("path", "").startswith("spool/"):
            (target / "pool" / line["sha256"][:2] / line["sha256"]).write_bytes(b"\0" * line["size"])
    backup.rename(backup.with_suffix(".unfinished"))
    summary = made(manage, target)
    assert contents_of(target, Path(summary["backup"])) == mail
    assert [path.name for path in target.glob("*Z*")] == [Path(summary["backup"]).name]


@pytest.mark.parametrize("options", [[], ["--copy"]], ids=["linked", "copied"])
def test_only_their_owner_may_read_any_of_it(
    manage: Manage, mail: dict[str, bytes], target: Path, options: list[str]
) -> None:
    old = os.umask(0o022)
    try:
        made(manage, target, *options)
    finally:
        os.umask(old)
    for path in (target, *target.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_message_files_are_linked_where_that_can_be(manage: Manage, mail: dict[str, bytes]) -> None:
    target: Path = django_settings.HOME.root / "backups"
    try:
        summary = made(manage, target)
        assert summary["linked"] == 4
        [path] = [path for path in mail if path.startswith("quarantine/")]
        assert (django_settings.HOME.root / path).stat().st_nlink == 2
        assert made_again(manage, target)["linked"] == 0
    finally:
        shutil.rmtree(target)


def made_again(manage: Manage, target: Path) -> dict[str, Any]:
    import time

    time.sleep(1.0)
    return made(manage, target, "--copy")


def test_only_the_last_backups_are_kept_when_so_asked(manage: Manage, mail: dict[str, bytes], target: Path) -> None:
    made(manage, target)
    deliver_all()
    second = made(manage, target, "--keep", "1")
    assert second["removed_backups"] == 1
    assert [path.name for path in target.glob("*Z")] == [Path(second["backup"]).name]
    needed = {line["sha256"] for line in lines_of(Path(second["backup"])) if "sha256" in line}
    there = {path.name for path in (target / "pool").rglob("*") if path.is_file()}
    assert there == {name for name in needed if (target / "pool" / name[:2] / name).exists()}
    assert len(contents_of(target, Path(second["backup"]))) == 3


def test_a_message_without_a_file_is_named_and_the_rest_is_backed_up(
    manage: Manage, mail: dict[str, bytes], target: Path
) -> None:
    lost, *_ = mail
    (django_settings.HOME.root / lost).unlink()
    ran = manage("backup", str(target), "--json", "--quiet")
    assert ran.status == 1
    assert lost in ran.err
    backup = Path(ran.json["backup"])
    assert [line["path"] for line in lines_of(backup) if line.get("sha256") == ""] == [lost]
    assert ran.json["missing"] == 1


def test_mail_in_maildirs_is_found_while_it_is_read_and_moved(manage: Manage, target: Path) -> None:
    inbox = folder_of("ann@example.org")
    for name in ("new/1.a", "cur/2.b:2,S", ".Archive/cur/3.c:2,"):
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(name.encode())
    (inbox / "tmp").mkdir()
    (inbox / "tmp" / "half").write_bytes(b"half")
    (inbox / "dovecot-uidlist").write_bytes(b"3 V1")
    (inbox / "dovecot.index.cache").write_bytes(b"cache")
    summary = made(manage, target)
    paths = {line["path"] for line in lines_of(Path(summary["backup"])) if "path" in line}
    below = {path.removeprefix("maildirs/example.org/ann/") for path in paths if path.startswith("maildirs/")}
    assert below == {"new/1.a", "cur/2.b:2,S", ".Archive/cur/3.c:2,", "dovecot-uidlist"}
    assert summary["maildir_messages"] == 3
    assert not any(
        line.get("path", "").startswith("maildirs/")
        for line in lines_of(Path(_after(manage, target, "--without-maildirs")["backup"]))
    )


def _after(manage: Manage, target: Path, *options: str) -> dict[str, Any]:
    shutil.rmtree(target)
    return made(manage, target, *options)


def test_a_message_that_is_read_while_its_folder_is_looked_through_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mailspool.backup import maildirs

    inbox = folder_of("ann@example.org")
    for name in ("new/1.a", "cur/2.b:2,S", ".Archive/cur/3.c:2,S"):
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(name.encode())
    look, looks = maildirs._look, []

    def looking(folder: Any) -> Any:
        if folder != inbox:
            yield from look(folder)
            return
        looks.append(1)
        found = list(look(folder))
        if len(looks) == 1:
            (inbox / "new" / "1.a").rename(inbox / "cur" / "1.a:2,S")
            # Out of a folder that comes later, into one that was looked through.
            (inbox / ".Archive/cur/3.c:2,S").rename(inbox / "cur" / "4.d:2,S")
        yield from found

    monkeypatch.setattr(maildirs, "_look", looking)
    got = {found.file.read() for found in maildirs.files_of(inbox, django_settings.HOME.root)}
    assert got == {b"new/1.a", b"cur/2.b:2,S", b".Archive/cur/3.c:2,S"}


def test_a_dropped_file_is_in_the_backup_as_a_file_or_as_a_message(
    manage: Manage, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop: Path = django_settings.HOME.drop
    monkeypatch.setattr(drop_folder, "QUIET_SECONDS", -1.0)
    content = b"From: a@example.org\r\nTo: b@example.net\r\n\r\nHello %d\r\n"
    (drop / "1.eml").write_bytes(content % 1)
    assert drop_folder.take() == 1
    (drop / "2.eml").write_bytes(content % 2)

    def taken_in() -> None:
        assert drop_folder.take() == 1
        (drop / "3.eml").write_bytes(content % 3)

    after_the_snapshot(monkeypatch, taken_in)
    summary = made(manage, target)
    dropped = [line for line in lines_of(Path(summary["backup"])) if line.get("path", "").startswith("drop/")]
    assert [line["path"].rpartition("~")[2] for line in dropped] == ["drop/3.eml", "2.eml"]
    assert dropped[1]["path"].startswith("drop/.working/")
    assert summary["messages"] == 1


def test_a_backup_as_a_tar_has_header_first_and_manifest_last(mail: dict[str, bytes], tmp_path: Path) -> None:
    out = io.BytesIO()
    result = making.make(django_settings.HOME, out, Progress(None))
    assert result.path is None
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        names = tar.getnames()
        contents = {name: tar.extractfile(name).read() for name in mail}  # type: ignore[union-attr]
    assert names[0] == "header.json"
    assert names[-1] == "manifest.jsonl"
    assert contents == mail
    assert not django_settings.HOME.backup_work.exists()


def test_a_backup_by_another_user_than_the_owner_is_refused(manage: Manage, target: Path) -> None:
    root: Path = django_settings.HOME.root
    os.chown(root, 65534, -1)
    try:
        ran = manage("backup", str(target), "--quiet")
    finally:
        os.chown(root, os.getuid(), -1)
    assert ran.status == 1
    assert "belongs to another user (number 65534)" in ran.err


def test_a_folder_that_is_not_mounted_is_no_reason_for_an_empty_backup(manage: Manage, target: Path) -> None:
    marks.accept()
    try:
        (django_settings.HOME.maildirs / marks.FILE).unlink()
        ran = manage("backup", str(target), "--quiet")
        assert ran.status == 1
        assert f"{django_settings.HOME.maildirs} has not this installation's mark" in ran.err
        assert not target.exists()
    finally:
        marks.forget()


def test_two_backups_at_a_time_are_refused(manage: Manage, target: Path) -> None:
    with keeping.alone(django_settings.HOME):
        ran = manage("backup", str(target), "--quiet")
    assert ran.status == 1
    assert "Another backup or restore is running" in ran.err


@pytest.mark.parametrize("place", ["spool/backups", "maildirs/example.org", "keys", "."])
def test_a_backup_into_the_mail_itself_is_refused(manage: Manage, place: str) -> None:
    ran = manage("backup", str(django_settings.HOME.root / place), "--quiet")
    assert ran.status == 1
    assert "give a folder elsewhere" in ran.err


def test_a_folder_that_everybody_may_write_to_is_refused(manage: Manage, tmp_path: Path) -> None:
    target = tmp_path / "open"
    target.mkdir()
    target.chmod(0o777)
    ran = manage("backup", str(target), "--quiet")
    assert ran.status == 1
    assert "everybody may write to" in ran.err


def test_what_a_killed_backup_has_kept_is_removed_by_the_sweep(spooled: Any) -> None:
    home = django_settings.HOME
    for folder in keeping._folders(home):
        folder.mkdir()
    spooled()
    deliver_all()
    with keeping.alone(home):
        keeping.sweep()
        assert len(names_in(home.spool / removal.FOLDER)) == 1
    keeping.sweep()
    assert list(home.root.rglob(f"{removal.FOLDER}*")) == []


def test_what_a_backup_says_of_itself_is_a_sentence(manage: Manage, mail: dict[str, bytes], target: Path) -> None:
    ran = manage("backup", str(target))
    assert ran.status == 0
    assert "4 messages" in ran.out
    assert "Snapshot of the database at" in ran.err
    assert json.dumps(ran.out)
