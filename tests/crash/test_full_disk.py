"""A disk that fills up: mail is refused for now, what was taken is kept, and all goes on when there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.conftest import Install
from tests.crash.ledger import REMOTE, Ledger, send_one, settle
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

SIZE_MB = 8


def _mount(folder: Path) -> bool:
    """Put a file system of SIZE_MB at `folder`; False when we may not."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=700", "mailspool-test", str(folder)]
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode == 0


@pytest.fixture
def small_spool(tmp_path: Path) -> Iterator[Path]:
    """The spool's folder, on a small file system of its own."""
    folder = tmp_path / "home" / "spool"
    if os.geteuid() != 0 or not _mount(folder):
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)


def _fill(mailspool: MailspoolUnderTest, ledger: Ledger, size: int) -> str:
    """Send until a message is refused; returns the refusal."""
    for _ in range(SIZE_MB * 2_000_000 // size):
        with mailspool.smtp() as client:
            if not send_one(client, ledger, (REMOTE[0],), size):
                return list(ledger.refused.values())[-1]
    raise AssertionError("the disk never got full")


@pytest.mark.parametrize("size", [4096, 300_000, 3_000_000])
@pytest.mark.usefixtures("small_spool")
def test_a_full_disk_refuses_for_now_loses_nothing_and_recovers(
    install: Install, sink: CountingSink, size: int
) -> None:
    mailspool = install()
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
    assert mailspool.message_files() == []


@pytest.mark.usefixtures("small_spool")
def test_below_the_reserve_mail_is_refused_before_it_is_sent(install: Install) -> None:
    mailspool = install()
    mailspool.settings(min_free_mb=SIZE_MB * 2)
    mailspool.start()
    ledger = Ledger("reserve")
    with mailspool.smtp() as client:
        assert not send_one(client, ledger, (REMOTE[0],), 4096)
    assert next(iter(ledger.refused.values())).startswith("452 4.3.1")
    assert mailspool.message_files() == []
    mailspool.settings(min_free_mb=1)
    wait_until(lambda: _is_taken(mailspool, ledger), "mail is taken with a smaller reserve", 5, every=0.3)


def _is_taken(mailspool: MailspoolUnderTest, ledger: Ledger) -> bool:
    with mailspool.smtp() as client:
        return send_one(client, ledger, (REMOTE[0],), 4096)
