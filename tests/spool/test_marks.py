"""A folder of the home that is not mounted is told from one that is empty. Folders are put out of sight by renaming."""

from __future__ import annotations

import os
import shutil
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from base.sealed import seal, unseal
from mailspool.home import Home
from spool.delivery.local import maildir
from spool.files import claim, marks, store
from spool.models import Installation
from tests.support.mailspool_process import PROJECT, MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alike

ANN, X = "ann@here.test", "x@elsewhere.test"


@contextmanager
def unmounted(folder: Path, *, mount_point: bool = True) -> Iterator[None]:
    """As when its disk is away: an empty mount point is there, or not even that."""
    away = folder.with_name(f"{folder.name}.away")
    folder.rename(away)
    if mount_point:
        folder.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        away.rename(folder)


@pytest.fixture
def marked(db: None, home: Home) -> Iterator[Home]:
    """The run's home after a first start."""
    marks.forget()
    assert marks.settle() == []
    yield home
    for name in marks.FOLDERS:
        (home.root / name / marks.FILE).unlink(missing_ok=True)
    marks.forget(unmarked=True)


def test_the_first_start_marks_all_folders_and_later_ones_find_them(marked: Home) -> None:
    row = Installation.objects.get()
    for name in marks.FOLDERS:
        path = marked.root / name / marks.FILE
        assert path.read_text() == f"Mailspool {row.identifier} {name}\n"
        assert path.stat().st_mode & 0o077 == 0
    assert marks.settle() == []
    assert Installation.objects.get().identifier == row.identifier


@pytest.mark.parametrize("mount_point", [True, False])
def test_a_folder_that_is_not_mounted_is_said_in_a_sentence_and_not_marked_anew(
    marked: Home, mount_point: bool
) -> None:
    with unmounted(marked.spool, mount_point=mount_point):
        [sentence] = marks.settle()
        assert sentence.startswith(str(marked.spool)) and "not mounted" in sentence
        assert not (marked.spool / marks.FILE).exists()
        with pytest.raises(marks.NotOurFolder, match="not mounted"):
            marks.require(marks.SPOOL)
        marks.require(marks.MAILDIRS)
    assert marks.faults() == []
    marks.require(marks.SPOOL)


def test_a_folder_of_another_installation_or_in_another_s_place_is_not_ours(marked: Home) -> None:
    spool, maildirs = (marked.root / name / marks.FILE for name in (marks.SPOOL, marks.MAILDIRS))
    before = spool.read_text()
    spool.write_text(maildirs.read_text())
    assert "marked as this installation's maildirs" in marks.faults()[0]
    spool.write_text("Mailspool 00000000-0000-0000-0000-000000000000 spool\n")
    assert "marked as another installation's" in marks.faults()[0]
    spool.write_text(before)
    assert marks.faults() == []


def test_a_new_database_does_not_take_the_folders_of_another_installation(db: None, home: Home) -> None:
    marks.forget()
    (home.spool / marks.FILE).write_text("Mailspool 00000000-0000-0000-0000-000000000000 spool\n")
    [sentence] = marks.settle()
    assert "another installation's" in sentence
    assert not (home.maildirs / marks.FILE).exists()
    (home.spool / marks.FILE).unlink()
    assert marks.settle() == []
    for name in marks.FOLDERS:
        (home.root / name / marks.FILE).unlink()


def test_an_installation_without_marks_works_as_ever(db: None, home: Home) -> None:
    marks.forget()
    for name in marks.FOLDERS:
        marks.require(name)
    assert marks.faults() == []


def test_no_other_key_for_credentials_is_made_while_the_folder_of_keys_is_away(marked: Home) -> None:
    token = seal("secret")
    with unmounted(marked.keys):
        with pytest.raises(marks.NotOurFolder, match="not mounted"):
            seal("another secret")
        assert not (marked.keys / "credentials.key").exists()
    assert unseal(token) == "secret"


def test_a_new_disk_is_accepted_by_command(marked: Home) -> None:
    from django.core.management import call_command

    identifier = Installation.objects.get().identifier
    shutil.rmtree(marked.maildirs)
    marked.create()
    assert marks.faults()
    call_command("check", "--mark")
    assert marks.faults() == []
    assert Installation.objects.get().identifier == identifier


def test_nothing_is_stored_in_a_folder_that_is_not_ours(marked: Home) -> None:
    writer = store.Writer()
    file = store.PendingFile(store.new_file_names(1)[0], b"x", None)
    with unmounted(marked.spool):
        with pytest.raises(marks.NotOurFolder):
            writer.begin([file], 100)
        assert list(marked.spool.iterdir()) == []
    writer.close()
    copy = maildir.Copy(marked.root / "message", 1, maildir.folder_of(ANN), "unique", b"", 0.0)
    with unmounted(marked.maildirs):
        [stored] = maildir.store([copy])
        assert isinstance(stored.error, marks.NotOurFolder)
        assert list(marked.maildirs.iterdir()) == []


@pytest.fixture
def installation(tmp_path: Path, durable_postgres: PostgresServer | None) -> Iterator[MailspoolUnderTest]:
    """Prepared as at a first start, and running."""
    url = durable_postgres.create_database("marks") if durable_postgres else ""
    mailspool = MailspoolUnderTest(tmp_path, database_url=url)
    mailspool.prepare()
    mailspool.run("from spool.files import marks; assert marks.settle() == []")
    mailspool.add_domain("here.test", "ann")
    yield mailspool
    mailspool.kill()
    if durable_postgres:
        durable_postgres.drop_database("marks")


def _refusal(mailspool: MailspoolUnderTest) -> str:
    try:
        mailspool.send(X, ANN, a_message(to=ANN))
    except smtplib.SMTPResponseException as error:
        return f"{error.smtp_code} {error.smtp_error!r}"
    return ""


def test_while_a_folder_is_away_mail_waits_and_none_is_lost(installation: MailspoolUnderTest) -> None:
    installation.start()
    spool, maildirs = installation.home / "spool", installation.home / "maildirs"
    installation.send(X, ANN, a_message(to=ANN))
    wait_until(lambda: len(installation.maildir(ANN)) == 1, "delivered", 20)

    with unmounted(maildirs):
        installation.send(X, ANN, a_message(to=ANN))
        wait_until(
            lambda: "is its disk mounted?" in str(installation.rows("SELECT last_error FROM spool_entry")),
            f"it waits with its reason\n{installation.log_tails()}",
            20,
        )
        assert list(maildirs.iterdir()) == []
    with unmounted(spool):
        assert _refusal(installation).startswith("451 ")
        installation.run(
            "from spool.models import Entry; from django.utils import timezone\n"
            "Entry.objects.update(due_at=timezone.now())"
        )
        worker = installation.workers[0]
        wait_until(lambda: "nothing is delivered: " in worker.log_tail(100_000), "the worker says so", 20)
        assert installation.rows("SELECT attempts FROM spool_entry") == [(0,)], "it has used up no attempt"
        assert list(spool.iterdir()) == []
    wait_until(lambda: len(installation.maildir(ANN)) == 2, f"delivered\n{installation.log_tails()}", 30)
    assert _refusal(installation) == ""
    wait_until(lambda: len(installation.maildir(ANN)) == 3, "delivered", 20)


def test_a_start_without_a_folder_waits_for_it_and_sends_clients_away(installation: MailspoolUnderTest) -> None:
    installation.redis.start()
    [listener], [worker] = installation.listeners, installation.workers
    with unmounted(installation.home / "spool"):
        for daemon in (listener, worker):
            daemon.start()
            wait_until(lambda: daemon.has_printed("waiting: ") and daemon.has_printed("not mounted"), daemon.name, 30)  # noqa: B023
        with pytest.raises(smtplib.SMTPConnectError, match="421"):
            installation.smtp()
        assert list((installation.home / "spool").iterdir()) == []
    wait_until(lambda: _refusal(installation) == "", "mail is taken", 30)
    wait_until(lambda: len(installation.maildir(ANN)) == 1, "delivered", 30)


def test_prepare_refuses_with_a_sentence(installation: MailspoolUnderTest) -> None:
    def prepared() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mailspool.prepare"],
            cwd=PROJECT,
            env=installation.env,
            capture_output=True,
            text=True,
            timeout=120,
        )

    installation.redis.start()
    with unmounted(installation.home / "maildirs"):
        done = prepared()
        assert done.returncode == 1
        assert f"{installation.home / 'maildirs'} has not this installation's mark" in done.stderr
        assert "Traceback" not in done.stderr
    assert prepared().returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting is root's")
def test_a_disk_that_is_unmounted_while_the_listener_runs_is_noticed(installation: MailspoolUnderTest) -> None:
    """Really mounted, in a mount namespace of the listener's own: lazily taken away, as one that fails."""
    spool = installation.home / "spool"
    installation.redis.start()
    kept = spool.with_name("kept")
    kept.mkdir()
    for name in (marks.FILE, claim.FILE):
        (spool / name).rename(kept / name)
    script = f'mount -t tmpfs tmpfs {spool} && cp {kept}/.[a-z]* {spool} && exec "$@"'
    wrap = ("unshare", "--mount", "sh", "-c", script, "sh")
    listener = installation.process("smtpd-mounted", "smtpd", "--skip-checks", wrap=wrap)
    listener.start(lambda: listener.has_printed("listening on"), 60)
    try:
        assert _refusal(installation) == ""
        assert installation.message_files() == [], "it is on the other disk"
        subprocess.run(["nsenter", "--mount", f"--target={listener.pid}", "umount", "--lazy", spool], check=True)
        assert _refusal(installation).startswith("451 ")
        assert installation.message_files() == []
        wait_until(lambda: listener.has_printed("not mounted"), "the log says why")
    finally:
        listener.signal(signal.SIGTERM)
        listener.finish()
