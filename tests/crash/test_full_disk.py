"""A disk that fills up: mail is refused for now, what was taken is kept, and all goes on when there is room."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.conftest import Install
from tests.crash.ledger import LOCAL, REMOTE, SENDER, Clients, Ledger, send_one, settle
from tests.crash.remains import assert_nothing_is_left, assert_one_outcome_each, found_test_id
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

SIZE_MB = 8
# Where only the spool's file system is full.
IN_FILES = {"MAILSPOOL_INLINE_KB": "0"}


def _mount(folder: Path, size_mb: int = SIZE_MB) -> None:
    """Put a small file system at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=700", "mailspool-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True, timeout=20).returncode:
        pytest.skip("needs the right to mount a file system")


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)


@pytest.fixture
def small_spool(tmp_path: Path) -> Iterator[Path]:
    """The spool's folder, on a small file system of its own."""
    folder = tmp_path / "home" / "spool"
    _mount(folder)
    yield folder
    _unmount(folder)


@pytest.fixture
def small_maildirs(tmp_path: Path) -> Iterator[Path]:
    """The same for the Maildirs."""
    folder = tmp_path / "home" / "maildirs"
    _mount(folder)
    yield folder
    _unmount(folder)


@pytest.fixture
def small_home(tmp_path: Path) -> Iterator[Path]:
    """The home with its database on a small file system; spool and Maildirs have room."""
    home = tmp_path / "home"
    _mount(home, 4 * SIZE_MB)
    for name in ("spool", "maildirs"):
        _mount(home / name, 20 * SIZE_MB)
    yield home
    for folder in (home / "spool", home / "maildirs", home):
        _unmount(folder)


def _fill_up(folder: Path) -> Path:
    """Leave not a byte free; removing the returned file makes room again."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def _make_due(mailspool: MailspoolUnderTest) -> None:
    """Have the pause go by for what waits."""
    mailspool.run(
        "from django.utils import timezone\nfrom spool.models import Entry\n"
        "Entry.objects.waiting().update(due_at=timezone.now())"
    )


def _waiting_with(mailspool: MailspoolUnderTest, error: str) -> int:
    query = f"SELECT count(*) FROM spool_entry WHERE status = 'waiting' AND last_error LIKE '{error}%'"
    return int(mailspool.rows(query)[0][0])


def _fill(mailspool: MailspoolUnderTest, ledger: Ledger, size: int) -> str:
    """Send until a message is refused; returns the refusal."""
    for _ in range(SIZE_MB * 2_000_000 // size):
        with mailspool.smtp() as client:
            if not send_one(client, ledger, (REMOTE[0],), size):
                return list(ledger.refused.values())[-1]
    raise AssertionError("the disk never got full")


@pytest.mark.parametrize("size", [4096, *(pytest.param(size, marks=pytest.mark.long) for size in (300_000, 3_000_000))])
@pytest.mark.usefixtures("small_spool")
def test_a_full_disk_refuses_for_now_loses_nothing_and_recovers(
    install: Install, sink: CountingSink, size: int
) -> None:
    mailspool = install(env=IN_FILES)
    mailspool.settings(min_free_mb=0)
    mailspool.start()
    mailspool.workers[0].stop()
    ledger = Ledger("full")
    assert _fill(mailspool, ledger, size).startswith("452 4.3.1")
    assert ledger.acknowledged
    assert all(path.suffix == ".eml" for path in mailspool.message_files()), "what was refused left a part behind"
    assert len(mailspool.message_files()) == len(ledger.acknowledged) == mailspool.count("spool_entry")
    mailspool.workers[0].start()
    mailspool.wait_until_empty(60)
    with mailspool.smtp() as client:
        assert send_one(client, ledger, (REMOTE[0],), size), "mail is taken again"
    mailspool.wait_until_empty(30)
    account = settle(ledger, mailspool, sink)
    assert not account.lost
    assert not account.refused_but_delivered
    assert account.remote_duplicates == 0
    wait_until(lambda: not mailspool.message_files(), "no file is left", 15)


@pytest.mark.usefixtures("small_spool")
def test_below_the_reserve_mail_is_refused_before_it_is_sent(install: Install) -> None:
    mailspool = install()
    mailspool.settings(min_free_mb=SIZE_MB * 2)
    mailspool.start()
    ledger = Ledger("reserve")
    with mailspool.smtp() as client:
        assert not send_one(client, ledger, (REMOTE[0],), 4096)
    assert next(iter(ledger.refused.values())).startswith("452 4.3.1")
    wait_until(lambda: not mailspool.message_files(), "no file is left", 15)
    mailspool.settings(min_free_mb=1)
    wait_until(lambda: _is_taken(mailspool, ledger), "mail is taken with a smaller reserve", 15, every=0.3)


def _is_taken(mailspool: MailspoolUnderTest, ledger: Ledger) -> bool:
    with mailspool.smtp() as client:
        return send_one(client, ledger, (REMOTE[0],), 4096)


@pytest.mark.long
def test_without_room_for_a_notice_the_failure_waits_and_is_told_once(
    install: Install, sink: CountingSink, small_spool: Path
) -> None:
    mailspool = install(env=IN_FILES)
    mailspool.settings(min_free_mb=0)
    mailspool.start()
    mailspool.workers[0].stop()
    ledger = Ledger("notice")
    with mailspool.smtp() as client:
        for _ in range(5):
            # One recipient is delivered, whatever becomes of the other.
            assert send_one(client, ledger, ("550.nobody@sink.test", REMOTE[0]), 4096)
    before = mailspool.message_files()
    filler = _fill_up(small_spool)
    mailspool.workers[0].start()
    wait_until(lambda: _waiting_with(mailspool, "452 4.3.1") == 5, "all wait for room", 20)
    filler.unlink()
    assert mailspool.message_files() == before, "a part of a notice was left behind"
    assert mailspool.rows("SELECT recipient, count(*) FROM spool_trace GROUP BY 1") == [(REMOTE[0], 5)]
    _make_due(mailspool)
    mailspool.wait_until_empty(30)
    assert sorted(found_test_id(path) for path in mailspool.maildir(SENDER)) == sorted(ledger.acknowledged)
    assert sink.deliveries() == {(test_id, REMOTE[0]): 1 for test_id in ledger.acknowledged}
    assert_nothing_is_left(mailspool, ledger)


def test_a_full_mail_store_is_waited_for_and_gets_each_message_once(
    install: Install, sink: CountingSink, small_maildirs: Path
) -> None:
    mailspool = install()
    mailspool.start()
    ledger = Ledger("store")
    filler = _fill_up(small_maildirs)
    with mailspool.smtp() as client:
        for _ in range(5):
            assert send_one(client, ledger, LOCAL, 40_000)
    wait_until(lambda: _waiting_with(mailspool, "452 4.3.1") == 5, "all wait for room", 20)
    filler.unlink()
    _make_due(mailspool)
    mailspool.wait_until_empty(30)
    account = settle(ledger, mailspool, sink)
    assert not account.lost
    assert account.local_duplicates == 0
    assert_one_outcome_each(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger)


@pytest.fixture
def small_tablespace(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An empty database whose tables are on a small file system, by its URL, and the folder of that."""
    server = PostgresServer()
    server.start()
    folder = server.folder / "small"
    _mount(folder, 6 * SIZE_MB)
    server.create_tablespace("small", folder)
    yield server.create_database("crash", tablespace="small"), folder
    # The server first: it must not look for the files of its tables in vain.
    server.stop()
    _unmount(folder)
    server.remove()


@pytest.mark.postgresql
def test_a_full_disk_under_the_tables_of_postgresql_refuses_for_now_and_loses_nothing(
    small_tablespace: tuple[str, Path], install_on: Callable[[str], MailspoolUnderTest], sink: CountingSink
) -> None:
    url, folder = small_tablespace
    mailspool = install_on(url)
    mailspool.start()
    mailspool.workers[0].stop()
    ledger = Ledger("tables")
    with mailspool.smtp() as client:
        assert send_one(client, ledger, (REMOTE[0],), 4096)
    filler = _fill_up(folder)
    # Pages that are there already are filled first.
    refusal = _fill(mailspool, ledger, 4096)
    assert refusal.startswith("452 4.3.1"), refusal
    wait_until(lambda: mailspool.count("spool_entry") == len(ledger.acknowledged), "what was refused is gone", 10)
    filler.unlink()
    with mailspool.smtp() as client:
        assert send_one(client, ledger, (REMOTE[0],), 4096), "mail is taken again"
    mailspool.workers[0].start()
    mailspool.wait_until_empty(60)
    account = settle(ledger, mailspool, sink)
    assert not account.lost
    assert not account.refused_but_delivered
    assert account.remote_duplicates == 0
    assert_one_outcome_each(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger)


@pytest.mark.sqlite
def test_a_full_disk_under_the_database_stops_mail_for_now_and_loses_nothing(
    install: Install, sink: CountingSink, small_home: Path
) -> None:
    mailspool = install()
    mailspool.settings(min_free_mb=0)
    mailspool.start()
    ledger = Ledger("dbfull")
    clients = Clients(mailspool, ledger, count=3, pause_seconds=0.01)
    clients.start()
    wait_until(lambda: len(ledger.acknowledged) > 20, "mail flows", 20)
    filler = _fill_up(small_home)
    wait_until(lambda: len(ledger.refused) > 10, "mail is refused", 60)
    assert {reply[:3] for reply in ledger.refused.values()} <= {"451", "452"}
    time.sleep(1)
    filler.unlink()
    taken = len(ledger.acknowledged)
    wait_until(lambda: len(ledger.acknowledged) > taken + 20, "mail is taken again", 30)
    clients.stop()
    mailspool.wait_until_empty(40)
    account = settle(ledger, mailspool, sink)
    print(f"{len(ledger.acknowledged)} acknowledged, {len(ledger.refused)} refused: {account}")
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0
    assert not account.refused_but_delivered
    assert_one_outcome_each(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger)
