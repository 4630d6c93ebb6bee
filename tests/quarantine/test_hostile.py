"""Messages made to hurt, and engines that die, hang or dawdle: bounded time and memory, and other mail goes on."""

from __future__ import annotations

import signal
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from quarantine.engines import checks
from quarantine.models import AntivirusSettings, Check, CheckKind, Item
from quarantine.models.check import forget_checks
from quarantine.trial import Envelope, Trial, try_file
from spool.flow import passes
from spool.models import Entry
from tests.quarantine import mail
from tests.spool.passing import ANN, Spool
from tests.support.clamd import EICAR, SIGNATURE, Clamd
from tests.support.slow_server import SlowServer

pytestmark = pytest.mark.django_db(transaction=True)
Setting = Callable[..., None]
MB = 1024 * 1024
KINDS = (
    ("uri list", CheckKind.URI_LIST, "uri.test", ""),
    ("dkim", CheckKind.DKIM, "", ""),
    ("spf", CheckKind.SPF, "", ""),
    ("dmarc", CheckKind.DMARC, "", ""),
    ("header", CheckKind.HEADER, "Subject", "prize"),
    ("text", CheckKind.BODY, "", r"(lottery|casino)\s+(win|prize)"),
)


def large(path: Path, megabytes: int, end: bytes = b"") -> Path:
    """A message with so much text, and something at its very end."""
    line = b"Lorem ipsum dolor sit amet, http://www.example.org/a consectetur adipiscing.\r\n"
    with path.open("wb") as file:
        file.write(mail.CLEAN)
        for _ in range(megabytes):
            file.write(line * (MB // len(line)))
        file.write(b"\r\n" + end)
    return path


def tried(path: Path) -> tuple[Trial, float, float]:
    """What scanners and checks say of a file, in how many seconds, and the most memory that it took (MB)."""
    envelope = Envelope("eve@far.test", ANN, "192.0.2.7", "mx.far.test")
    tracemalloc.start()
    started = time.monotonic()
    try:
        trial = try_file(path, envelope)
        return trial, time.monotonic() - started, tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()


@pytest.fixture
def all_on(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    """A scanner and every check that looks into the content."""
    checks.rests.forget()
    setting(AntivirusSettings, clamd_servers=clamd.address, max_scan_kb=60_000, clamd_timeout_seconds=30)
    for name, kind, where, pattern in KINDS:
        Check.objects.create(name=name, kind=kind, where=where, pattern=pattern, weight=5)
    forget_checks()


@pytest.mark.usefixtures("all_on")
def test_a_message_of_50_mb_is_looked_at_in_bounded_time_and_memory(tmp_path: Path) -> None:
    trial, seconds, megabytes = tried(large(tmp_path / "large.eml", 50, EICAR))
    assert trial.infected and SIGNATURE in trial.answers[0].text
    assert trial.judgement is not None and len(trial.judgement.results) == len(KINDS)
    print(f"50 MB: {seconds:.1f} s, {megabytes:.1f} MB")
    assert seconds < 30 and megabytes < 10


@pytest.mark.usefixtures("all_on")
def test_a_message_of_10_000_parts_is_looked_at_in_bounded_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "parts.eml"
    path.write_bytes(mail.many_parts())
    trial, seconds, megabytes = tried(path)
    assert not trial.infected and trial.judgement is not None
    print(f"10,000 parts: {seconds:.1f} s, {megabytes:.1f} MB")
    assert seconds < 20 and megabytes < 20


@pytest.mark.usefixtures("all_on")
def test_a_zip_of_500_mb_of_zeros_is_looked_at_in_bounded_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.eml"
    path.write_bytes(mail.zip_bomb())
    trial, seconds, megabytes = tried(path)
    assert trial.judgement is not None and not trial.infected
    print(f"zip bomb: {seconds:.1f} s, {megabytes:.1f} MB")
    assert seconds < 30 and megabytes < 10


def test_a_scanner_that_is_killed_in_mid_scan_loses_nothing_and_lets_nothing_pass(
    spool: Spool, clamd: Clamd, setting: Setting
) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address, clamd_timeout_seconds=20)
    infected, clean = spool.take(content=mail.plain()), spool.take(content=mail.CLEAN)
    clamd.daemon.signal(signal.SIGSTOP)
    killed = threading.Timer(0.5, clamd.daemon.kill)
    killed.start()
    spool.work()
    killed.join()
    assert {spool.entry(name).status for name in (infected, clean)} == {"virus"}
    assert "No virus scanner answers" in spool.entry(clean).last_error and not spool.peer.taken
    clamd.start()
    from quarantine.engines.scanner import all_scanners

    all_scanners()[0].rests.forget()  # type: ignore[attr-defined]
    spool.later(minutes=6)
    spool.work()
    assert [item.file_name for item in Item.objects.all()] == [infected]
    assert len(spool.peer.taken) == 1 and not Entry.objects.exists()


def test_many_messages_wait_for_a_slow_engine_together(spool: Spool, setting: Setting) -> None:
    with SlowServer(0.5, b"stream: OK\0") as clamd:
        setting(AntivirusSettings, clamd_servers=clamd.address, clamd_connections=100)
        for _ in range(60):
            spool.take()
        started = time.monotonic()
        spool.work()
        assert time.monotonic() - started < 6
        assert clamd.most_open > 20
    assert len(spool.peer.taken) == 60


def test_what_is_not_scanned_and_what_is_small_do_not_wait_for_a_large_message(
    spool: Spool, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "LARGE_BYTES", 100_000)
    arrived: list[float] = []
    with SlowServer(lambda size: 2.0 if size > 100_000 else 0.0, b"stream: OK\0") as clamd:
        setting(AntivirusSettings, clamd_servers=clamd.address, scan_inbound=False)
        spool.take(content=mail.CLEAN + b"yy\r\n" * 40_000)
        spool.take()
        spool.take_for_us(mail.CLEAN)
        started = time.monotonic()
        watch = threading.Thread(target=_note_arrivals, args=(spool, started, arrived), daemon=True)
        watch.start()
        spool.work()
        watch.join(10)
    small, large = arrived
    assert small < 1.5 < large
    assert len(spool.mailbox()) == 1


def _note_arrivals(spool: Spool, started: float, arrived: list[float]) -> None:
    while len(arrived) < 2 and time.monotonic() - started < 15:
        while len(arrived) < len(spool.peer.taken):
            arrived.append(time.monotonic() - started)
        time.sleep(0.01)
