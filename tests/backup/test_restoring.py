"""A backup comes back into an empty installation as it was, and into nothing else."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from spool.files import claim, marks
from tests.crash.extent import LONG
from tests.support.mailspool_process import PROJECT, MailspoolUnderTest
from tests.support.s3 import Gate, S3Store, s3
from tests.support.waiting import wait_until

__all__ = ["s3"]

_numbers = itertools.count(1)
# Mail in every state, as the parts of the program make it.
_FILL = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import Role
from quarantine.items import transfer
from quarantine.models import ItemKind
from quarantine.items.transfer import Caught
from spool.flow import intake
from spool.flow import leases
from spool.rows import statements
from spool.actions import Actor, perform
from spool.filters import SpoolFilter
from spool.models import Entry
from spool.models.recipient import Kind
from tests.support.messages import a_submission

def taken(subject, **columns):
    [name] = intake.accept([a_submission(subject=subject)])
    Entry.objects.filter(file_name=name).update(**columns)
    return Entry.objects.get(file_name=name)

caught = taken("caught")
with statements.write_transaction():
    leases.take("stage", timezone.now(), 10, straight=False, no_delay=True)
transfer.take("stage", [Caught(caught.pk, ItemKind.VIRUS, "EICAR")], timezone.now(), 30)
perform("delete", [taken("deleted").pk], Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR))
taken("held", hold=True, hold_reason="By hand", due_at=None, hold_until=timezone.now() + timedelta(days=1))
taken("waits", status="waiting", attempts=3)
root = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)
perform("priority", SpoolFilter(), root, background=True, priority="high")
taken("on its way", status="remote", leased_by="worker:1", due_at=timezone.now() + timedelta(seconds=30))
"""

# One that is in parts, where it is in the database.
_FILL_LARGE = """
from tests.support.messages import a_message
intake.accept([a_submission(subject="large", content=a_message(subject="large", size=700_000))])
Entry.objects.filter(subject="large").update(status="waiting", attempts=1)
Entry.objects.update(leased_by="")
"""
# One that is in the bucket, as a listener has it put there.
_FILL_BUCKET = """
import asyncio
from spool.files import incoming, store
from spool.message.envelope import Submission
from spool.smtpd.uploads import Uploads
from tests.support.messages import a_message
incoming.prepare()
path = store.new_incoming()
path.write_bytes(a_message(subject="in the bucket", size=6_000_000))
submission = Submission(a_submission().envelope, spilled=path)
asyncio.run(Uploads().store(submission))
intake.accept([submission])
Entry.objects.filter(subject="in the bucket").update(status="waiting", attempts=1)
Entry.objects.update(leased_by="")
"""
# What is in each message, by its subject, wherever it is.
_CONTENTS = """
import hashlib, json
from quarantine.models import Item
from spool.flow import leases
from spool.models import Entry, Trashed
found = {}
for model, trashed in ((Entry, False), (Trashed, True)):
    for entry in leases.look_at(list(model.objects.values_list("pk", flat=True)), trashed=trashed):
        found[entry.subject] = hashlib.sha256(entry.read()).hexdigest()
for item in Item.objects.all():
    with item.source.open("rb") as file:
        found[item.subject] = hashlib.sha256(file.read()).hexdigest()
print(json.dumps(found))
"""

# Of the folders, not of mail.
MARKS = (marks.FILE, claim.FILE)


Install = Callable[..., MailspoolUnderTest]


@contextmanager
def _installing(folder: Path) -> Iterator[Install]:
    """Makes installations with their tables, whose programs don't run; with `tables` False there is just a home.

    On PostgreSQL they are on the server of the run, which need not sync.
    """
    made: list[MailspoolUnderTest] = []

    def install(
        name: str, *, tables: bool = True, store: str = "", more: Mapping[str, str] | None = None
    ) -> MailspoolUnderTest:
        url = _new_database()
        env = {**({"MAILSPOOL_STORE": store} if store else {}), **(more or {})}
        mailspool = MailspoolUnderTest(folder / name, database_url=url, env=env)
        made.append(mailspool)
        if tables:
            mailspool.prepare()
        else:
            mailspool.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return mailspool

    yield install
    for mailspool in made:
        mailspool.kill()


def _new_database() -> str:
    """The URL of a new database on the run's server; "" on SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        return ""
    name = f"backup_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(url.replace("postgres://", "postgresql://", 1), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')  # type: ignore[arg-type]
    base, question, options = url.partition("?")
    return f"{base.rpartition('/')[0]}/{name}{question}{options}"


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    with _installing(tmp_path) as install:
        yield install


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailspoolUnderTest]:
    """A new installation into which nothing is restored, for what is refused."""
    with _installing(tmp_path_factory.mktemp("untouched")) as install:
        untouched = install("new")
        (untouched.home / "keys" / "secret_key").write_text("its own")
        yield untouched
        assert states_of(untouched) == []
        assert mail_of(untouched) == {"keys/secret_key": b"its own"}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailspoolUnderTest]:
    """The installation that backups are made of. No test changes it."""
    with _installing(tmp_path_factory.mktemp("old")) as install:
        old = install("old")
        old.add_domain("example.org", "ann")
        old.run(_FILL)
        folder = old.home / "maildirs" / "example.org" / "ann" / "cur"
        folder.mkdir(parents=True)
        (folder / "1.a:2,S").write_bytes(b"read")
        os.utime(folder / "1.a:2,S", (1_000_000_000, 1_000_000_000))
        (old.home / "drop" / "waits.eml").write_bytes(b"To: ann@example.org\n\nHello\n")
        yield old


@pytest.fixture(scope="module")
def one_backup(old: MailspoolUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("backup") / "backups"
    old.manage("backup", str(target), "--quiet")
    return target


@pytest.fixture
def backups(one_backup: Path, tmp_path: Path) -> Path:
    """A folder with a backup of `old`, for the test to do with as it likes."""
    return Path(shutil.copytree(one_backup, tmp_path / "backups"))


@pytest.fixture
def new(install: Install) -> MailspoolUnderTest:
    new = install("new")
    # As it is made by the first command.
    (new.home / "keys" / "secret_key").write_text("its own")
    return new


def mail_of(mailspool: MailspoolUnderTest) -> dict[str, bytes]:
    """Every file of a message in an installation, by its path in the home."""
    home = mailspool.home
    folders = ("spool", "quarantine", "maildirs", "drop", "keys")
    paths = [path for top in folders for path in (home / top).rglob("*") if path.is_file() and path.name not in MARKS]
    return {str(path.relative_to(home)): path.read_bytes() for path in paths}


def contents_of(mailspool: MailspoolUnderTest) -> dict[str, str]:
    """A sum of each message's content, by its subject."""
    found: dict[str, str] = json.loads(mailspool.run(_CONTENTS))
    return found


def states_of(mailspool: MailspoolUnderTest) -> list[tuple[Any, ...]]:
    return sorted(
        mailspool.rows(
            "SELECT subject, 'entry' FROM spool_entry UNION ALL SELECT subject, 'trash' FROM spool_trashed"
            " UNION ALL SELECT subject, 'quarantine' FROM quarantine_item"
        )
    )


def restored(new: MailspoolUnderTest, backups: Path, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(new.manage("restore", str(backups), "--json", "--quiet", *options).stdout)
    return found


def refused(mailspool: MailspoolUnderTest, *words: str) -> str:
    """What a command that is refused says."""
    done = mailspool.manage(*words, check=False)
    assert done.returncode == 1, done.stdout
    return done.stderr


ALL = [("caught", "quarantine"), ("deleted", "trash"), ("held", "entry"), ("on its way", "entry"), ("waits", "entry")]


def test_everything_is_there_again_as_it_was(old: MailspoolUnderTest, new: MailspoolUnderTest, backups: Path) -> None:
    summary = restored(new, backups)
    assert mail_of(new) == mail_of(old)
    assert states_of(new) == states_of(old) == ALL
    assert (summary["messages"], summary["quarantined"], summary["trashed"]) == (3, 1, 1)
    assert summary["maildir_messages"] == 1
    read = new.home / "maildirs" / "example.org" / "ann" / "cur" / "1.a:2,S"
    assert read.stat().st_mtime == 1_000_000_000
    assert new.rows("SELECT email FROM accounts_user WHERE email = 'ann@example.org'") == [("ann@example.org",)]
    assert json.loads(new.manage("spool", "doctor", "--json", check=False).stdout) == []
    assert not (new.home / "restore.unfinished").exists()
    assert list(new.home.rglob(".restore")) == []


@pytest.mark.postgresql
@pytest.mark.parametrize(("before", "after"), [("database", "files"), ("files", "database")])
def test_a_backup_comes_back_whole_where_content_is_kept_elsewhere(
    install: Install, tmp_path: Path, before: str, after: str
) -> None:
    """Messages are where they were, and go to the other place from there."""
    # No worker has any in hand, which would be left for the next time.
    old, new = install("old", store=before), install("new", store=after)
    old.run(f"from spool.files import marks; assert not marks.settle()\n{_FILL}\n{_FILL_LARGE}")
    old.manage("backup", str(tmp_path / "backups"), "--quiet")
    restored(new, tmp_path / "backups")
    assert states_of(new) == states_of(old) == sorted([*ALL, ("large", "entry")])
    written = contents_of(old)
    assert contents_of(new) == written
    new.manage("check", "--mark", "--this-home")
    new.manage("spool", "relocate")
    assert contents_of(new) == written
    places = {
        place for (place,) in new.rows("SELECT subspool FROM spool_entry UNION SELECT subspool FROM spool_trashed")
    }
    assert ("database" in places) == (after == "database") and len(places) == 1
    assert json.loads(new.manage("spool", "doctor", "--json", check=False).stdout) == []


@pytest.mark.postgresql
def test_what_is_in_a_bucket_is_in_the_backup_and_in_the_database_when_it_is_restored(
    install: Install, tmp_path: Path, s3: S3Store
) -> None:
    where = s3.new_bucket()
    old, new = install("old", store="database", more=s3.env(where)), install("new", store="database")
    old.run(f"{_FILL}\n{_FILL_BUCKET}")
    [key] = s3.keys(where)
    for _ in range(2):
        # The second has it from the first.
        made = json.loads(old.manage("backup", str(tmp_path / "backups"), "--quiet", "--json").stdout)
    assert made["missing"] == 0
    written = contents_of(old)
    restored(new, tmp_path / "backups")
    assert states_of(new) == states_of(old) == sorted([*ALL, ("in the bucket", "entry")])
    assert contents_of(new) == written
    # Of the bucket nothing is its own: the old one may still have mail there.
    assert (new.count("spool_storedobject"), s3.keys(where)) == (0, [key])
    assert not (new.home / "spool" / "objects").exists()
    s3.set(Gate.SHUT)
    told = old.manage("backup", str(tmp_path / "others"), "--quiet", check=False)
    s3.set(Gate.OPEN)
    assert told.returncode == 1
    assert f"{where.name}/of/tests: " in told.stderr
    assert not list((tmp_path / "others").glob("*Z"))


def test_who_worked_on_a_message_does_no_more(old: MailspoolUnderTest, new: MailspoolUnderTest, backups: Path) -> None:
    summary = restored(new, backups)
    rows = new.rows("SELECT subject, leased_by, status, due_at IS NULL FROM spool_entry ORDER BY subject")
    assert [tuple(map(str, row)) for row in rows] == [
        ("held", "", "delay", str(rows[0][3])),
        ("on its way", "", "delay", str(rows[1][3])),
        ("waits", "", "waiting", str(rows[1][3])),
    ]
    due = {name for (name,) in new.rows("SELECT file_name FROM spool_entry WHERE subject <> 'held'")}
    assert set(summary["may_be_delivered_twice"]) == due


def test_everything_can_be_put_on_hold_for_a_look(new: MailspoolUnderTest, backups: Path) -> None:
    assert restored(new, backups, "--hold")["held"] is True
    assert new.count("spool_entry WHERE due_at IS NOT NULL OR leased_by <> '' OR hold_until IS NOT NULL") == 0
    reasons = dict(new.rows("SELECT subject, hold_reason FROM spool_entry"))
    assert reasons["held"] == "By hand"
    assert reasons["waits"].startswith("Restored from the backup of ")
    # What was going on in the background might release it.
    assert new.rows("SELECT state FROM spool_bulkjob WHERE action = 'priority'") == [("cancelled",)]


def test_what_is_said_names_what_may_come_twice(new: MailspoolUnderTest, backups: Path) -> None:
    said = new.manage("restore", str(backups)).stdout
    assert "3 messages in the spool, 1 in quarantine, 1 in the trash, 1 in Maildirs" in said
    assert "2 messages were not on hold then, 1 of them just being delivered" in said


def test_a_tar_is_restored_as_it_streams_in(old: MailspoolUnderTest, new: MailspoolUnderTest, tmp_path: Path) -> None:
    tar = tmp_path / "backup.tar"
    with tar.open("wb") as out:
        _piped(old, ["backup", "-", "--quiet"], stdout=out)
    with tar.open("rb") as source:
        done = _piped(new, ["restore", "-", "--quiet"], stdin=source)
    assert done.returncode == 0, done.stderr
    assert mail_of(new) == mail_of(old)
    assert states_of(new) == ALL


def _piped(mailspool: MailspoolUnderTest, words: list[str], **files: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        env=mailspool.env,
        cwd=PROJECT,
        stderr=subprocess.PIPE,
        timeout=60,
        **files,
    )


def test_a_reader_that_goes_ends_a_backup_with_one_sentence(old: MailspoolUnderTest) -> None:
    backup = subprocess.Popen(
        [sys.executable, "manage.py", "backup", "-", "--quiet"],
        env=old.env,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert backup.stdout is not None and backup.stderr is not None
    backup.stdout.close()
    said = backup.stderr.read().decode()
    assert backup.wait(60) == 1
    assert said.splitlines() == ["Whoever read the backup has gone: it is not whole."]


def test_a_tar_that_is_cut_off_is_refused_and_nothing_is_touched(
    old: MailspoolUnderTest, untouched: MailspoolUnderTest, tmp_path: Path
) -> None:
    tar = tmp_path / "backup.tar"
    with tar.open("wb") as out:
        _piped(old, ["backup", "-", "--quiet"], stdout=out)
    os.truncate(tar, tar.stat().st_size // 2)
    before = mail_of(untouched)
    with tar.open("rb") as source:
        done = _piped(untouched, ["restore", "-", "--quiet"], stdin=source, stdout=subprocess.PIPE)
    assert done.returncode == 1
    assert b"The tar" in done.stderr
    assert mail_of(untouched) == before


def test_a_damaged_file_is_found_before_anything_is_touched(
    old: MailspoolUnderTest, new: MailspoolUnderTest, backups: Path
) -> None:
    [name] = [name for (name,) in old.rows("SELECT file_name FROM spool_entry WHERE subject = 'waits'")]
    _damage(backups, name)
    before = mail_of(new)
    said = refused(new, "restore", str(backups), "--quiet")
    assert f"{name}: its content is not what was backed up" in said
    assert "--without-damaged" in said
    assert mail_of(new) == before
    assert states_of(new) == []
    assert f"{name}: its content" in refused(old, "restore", str(backups), "--dry-run", "--quiet")
    assert restored(new, backups, "--without-damaged")["damaged"]
    assert len(mail_of(old)) - len(mail_of(new)) == 1


def _damage(backups: Path, name: str) -> None:
    """Flip a byte of a file of the backup."""
    manifest = next(backups.glob("*Z/manifest.jsonl"))
    [line] = [line for line in map(json.loads, manifest.read_text().splitlines()) if name in line.get("path", "")]
    content = backups / "pool" / line["sha256"][:2] / line["sha256"]
    changed = bytearray(content.read_bytes())
    changed[-3] ^= 1
    # Not in place: it may be linked with the original.
    content.unlink()
    content.write_bytes(changed)


def test_a_damaged_database_is_never_loaded(untouched: MailspoolUnderTest, backups: Path) -> None:
    database = next(backups.glob("*Z/database.*"))
    changed = bytearray(database.read_bytes())
    changed[len(changed) // 2] ^= 1
    database.write_bytes(changed)
    said = refused(untouched, "restore", str(backups), "--without-damaged", "--quiet")
    assert f"{database.name}: its content is not what was backed up" in said


def test_a_backup_can_be_checked_while_mail_flows(old: MailspoolUnderTest, backups: Path) -> None:
    before = mail_of(old)
    said = old.manage("restore", str(backups), "--dry-run").stdout
    assert "all as they were" in said
    assert mail_of(old) == before


def test_an_installation_that_is_not_empty_is_refused(
    old: MailspoolUnderTest, new: MailspoolUnderTest, backups: Path
) -> None:
    assert "This installation is not empty: its database has mail in the spool" in refused(
        old, "restore", str(backups), "--quiet"
    )
    stray = new.home / "maildirs" / "example.org" / "bob" / "new" / "1.x"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"mail")
    assert f"there is {stray}" in refused(new, "restore", str(backups), "--quiet")


def test_a_database_without_tables_will_do(install: Install, old: MailspoolUnderTest, backups: Path) -> None:
    bare = install("bare", tables=False)
    restored(bare, backups)
    assert states_of(bare) == ALL
    assert mail_of(bare) == mail_of(old)
    for path in bare.home.rglob("*"):
        # The tests' own Redis makes its folder otherwise.
        assert path.name == "redis" or stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_an_installation_that_runs_is_refused(new: MailspoolUnderTest, backups: Path) -> None:
    if new.database_url:
        with psycopg.connect(new.database_url.replace("postgres://", "postgresql://", 1)):
            said = refused(new, "restore", str(backups), "--quiet")
    else:
        with closing(sqlite3.connect(new.home / "mailspool.sqlite3")) as connection:
            connection.execute("SELECT count(*) FROM spool_entry")
            said = refused(new, "restore", str(backups), "--quiet")
    assert "Programs of this installation are running" in said
    restored(new, backups)


def _changed_header(backups: Path, **values: Any) -> None:
    manifest = next(backups.glob("*Z/manifest.jsonl"))
    header, *lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([json.dumps({**json.loads(header), **values}), *lines]) + "\n")


def test_a_backup_of_a_newer_schema_is_refused(untouched: MailspoolUnderTest, backups: Path) -> None:
    _changed_header(backups, version="9.0", migrations={"spool": ["0001_initial", "9999_from_the_future"]})
    said = refused(untouched, "restore", str(backups), "--quiet")
    assert "of a newer Mailspool (9.0)" in said
    assert "spool.9999_from_the_future" in said


def test_a_backup_of_another_engine_is_refused(untouched: MailspoolUnderTest, backups: Path) -> None:
    _changed_header(backups, engine="sqlite" if untouched.database_url else "postgresql")
    assert "This backup is of a database on" in refused(untouched, "restore", str(backups), "--quiet")


def test_a_backup_without_its_end_is_none(untouched: MailspoolUnderTest, backups: Path) -> None:
    manifest = next(backups.glob("*Z/manifest.jsonl"))
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))
    assert "The manifest has no end" in refused(untouched, "restore", str(backups), "--quiet")


def test_an_unfinished_backup_is_not_restored(untouched: MailspoolUnderTest, backups: Path) -> None:
    [made] = backups.glob("*Z")
    made.rename(made.with_suffix(".unfinished"))
    assert f"What is there was not finished: {made.name}.unfinished" in refused(untouched, "restore", str(backups))


def test_a_manifest_that_leads_out_of_the_home_is_refused(
    untouched: MailspoolUnderTest, backups: Path, tmp_path: Path
) -> None:
    manifest = next(backups.glob("*Z/manifest.jsonl"))
    text = manifest.read_text()
    for path in ("spool/../../evil", "/etc/passwd", "supervisor.lock"):
        lines = text.splitlines()
        lines[1] = json.dumps({**json.loads(lines[1]), "path": path})
        manifest.write_text("\n".join(lines) + "\n")
        assert "names a file that no backup has" in refused(untouched, "restore", str(backups), "--quiet")
    assert not (tmp_path / "evil").exists()


def test_a_restore_that_was_killed_is_run_again(
    old: MailspoolUnderTest, new: MailspoolUnderTest, backups: Path
) -> None:
    # As after a kill between the placing of files and the loading of the database.
    summary = restored(new, backups)
    (new.home / "restore.unfinished").write_text(json.dumps({"taken": summary["taken"]}))
    done = new.forks.run(("migrate", "--verbosity", "0"), 30)
    assert done.returncode == 0
    said = subprocess.run(
        [sys.executable, "-m", "mailspool.prepare"], env=new.env, cwd=PROJECT, capture_output=True, text=True
    )
    assert said.returncode == 1
    assert "A restore was begun here and not finished" in said.stderr
    restored(new, backups)
    assert states_of(new) == ALL
    assert mail_of(new) == mail_of(old)
    assert not (new.home / "restore.unfinished").exists()


def test_the_rest_of_another_restore_is_refused(untouched: MailspoolUnderTest, backups: Path) -> None:
    mark = untouched.home / "restore.unfinished"
    mark.write_text(json.dumps({"taken": "2020-01-01T00:00:00+00:00"}))
    assert "the backup of 2020-01-01T00:00:00+00:00 was begun here" in refused(untouched, "restore", str(backups))
    mark.unlink()


def test_a_restore_that_is_killed_anywhere_is_finished_by_the_next(
    old: MailspoolUnderTest, new: MailspoolUnderTest, backups: Path
) -> None:
    mark = new.home / "restore.unfinished"
    for pause in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8) if LONG else (0.1, 0.3):
        daemon = new.process("restore", "restore", str(backups), "--quiet")
        daemon.start()
        if pause > 0.2:
            wait_until(lambda: mark.exists() or not daemon.alive, "it moves things to their places", 30, 0.002)  # noqa: B023
            pause /= 10
        time.sleep(pause)
        daemon.kill()
    done = new.manage("restore", str(backups), "--quiet", check=False)
    # The last one may have come to its end.
    assert done.returncode == 0 or "is not empty" in done.stderr
    assert not mark.exists()
    assert states_of(new) == ALL
    assert mail_of(new) == mail_of(old)


def test_a_restored_installation_takes_and_delivers_mail(
    old: MailspoolUnderTest, new: MailspoolUnderTest, backups: Path
) -> None:
    restored(new, backups, "--hold")
    new.settings(bypass_networks="127.0.0.0/8")
    new.start()
    new.send("bob@example.net", "ann@example.org", b"Subject: again\r\n\r\nHello\r\n")
    # With what was waiting in the drop folder.
    wait_until(lambda: len(new.maildir("ann@example.org")) == 3, f"it is delivered\n{new.log_tails()}", 30)
