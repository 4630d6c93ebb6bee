"""The log never holds up a program: not by a disk that is full, a pipe that nobody reads, or a syslog that is away."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spool.events import mail_log, queue
from spool.events.mail_log import Event
from spool.events.outlets import NoSuchPlace, chosen
from spool.events.queue import QueuedHandler
from tests.support.mail_log import MailLog, parse
from tests.support.waiting import wait_until

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def logging_to() -> Iterator[Callable[[str], QueuedHandler]]:
    """Sends the mail log of this process to the place of a name, and only there."""
    log = logging.getLogger(mail_log.NAME)
    before, log.handlers = log.handlers, []

    def to(where: str) -> QueuedHandler:
        handler = queue.mail(where, "text")
        log.addHandler(handler)
        return handler

    yield to
    log.handlers = before


def _number(handler: QueuedHandler, first: int, count: int = 1) -> None:
    for number in range(first, first + count):
        mail_log.write("ended", f"id-{number}")
    handler.flush()


def test_a_file_goes_on_after_it_was_rotated(tmp_path: Path, logging_to: Callable[[str], QueuedHandler]) -> None:
    path = tmp_path / "mail.log"
    handler = logging_to(f"file:{path}")
    _number(handler, 1, 3)
    path.rename(tmp_path / "mail.log.1")
    _number(handler, 4, 2)
    # As copytruncate does it.
    assert [event["id"] for event in MailLog(path).events()] == ["id-4", "id-5"]
    os.truncate(path, 0)
    _number(handler, 6)
    assert [event["id"] for event in MailLog(path).events()] == ["id-6"]
    assert [event["id"] for event in MailLog(tmp_path / "mail.log.1").events()] == ["id-1", "id-2", "id-3"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can begin a file for others")
def test_a_file_that_root_begins_is_the_owners_of_its_folder(
    tmp_path: Path, logging_to: Callable[[str], QueuedHandler]
) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    _number(logging_to(f"file:{folder}/mail.log"), 1)
    there = (folder / "mail.log").stat()
    assert (there.st_uid, there.st_gid) == (65534, 65534)


def test_many_processes_write_whole_lines_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    code = (
        "import logging, sys; from spool.events import mail_log, queue\n"
        f"handler = queue.mail('file:{path}', 'text'); log = logging.getLogger(mail_log.NAME)\n"
        "log.addHandler(handler); log.setLevel(20)\n"
        "for n in range(3000): mail_log.write('ended', f'{sys.argv[1]}-{n}', why='x' * (n % 300))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=PROJECT) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    names = [event["id"] for event in MailLog(path).events()]
    assert sorted(names) == sorted(f"{writer}-{n}" for writer in range(4) for n in range(3000))
    for writer in range(4):
        assert [name for name in names if name.startswith(f"{writer}-")] == [f"{writer}-{n}" for n in range(3000)]


def test_a_full_disk_loses_lines_and_says_how_many(
    tmp_path: Path, logging_to: Callable[[str], QueuedHandler], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mail.log"
    path.symlink_to("/dev/full")
    handler = logging_to(f"file:{path}")
    _number(handler, 1, 5)
    wait_until(lambda: "the mail log can't be written" in caplog.text, "it is said", 5)
    assert "No space left on device" in caplog.text
    path.unlink()
    _number(handler, 6)
    assert [(event["event"], event.get("lines")) for event in MailLog(path).events()] == [
        ("ended", None),
        ("lost", "5"),
    ]


def test_results_of_very_many_recipients_are_all_written(
    tmp_path: Path, logging_to: Callable[[str], QueuedHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MOST_WAITING", 1000)
    monkeypatch.setattr(queue, "ROOM_SECONDS", 30.0)
    path = tmp_path / "mail.log"
    handler = logging_to(f"file:{path}")
    mail_log.write_all(Event.of("attempt", "0abc", to=f"user-{n}@example.org") for n in range(10_000))
    handler.flush()
    assert [event["to"] for event in MailLog(path).events()] == [f"user-{n}@example.org" for n in range(10_000)]


def test_a_folder_that_is_missing_stops_nobody(tmp_path: Path, logging_to: Callable[[str], QueuedHandler]) -> None:
    path = tmp_path / "not-mounted" / "mail.log"
    handler = logging_to(f"file:{path}")
    _number(handler, 1)
    path.parent.mkdir()
    _number(handler, 2)
    assert [event["event"] for event in MailLog(path).events()] == ["ended", "lost"]


def test_a_pipe_that_nobody_reads_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "FLUSH_SECONDS", 0.2)
    monkeypatch.setattr(queue, "MOST_WAITING", 500)
    reading, writing = os.pipe()
    monkeypatch.setattr("spool.events.outlets.STDERR", writing)
    handler = queue.program("text")
    log = logging.getLogger("tests.blocked")
    log.addHandler(handler)
    log.propagate = False
    began = time.monotonic()
    for number in range(3000):
        log.warning("%d: %s", number, "x" * 200)
    handler.flush()
    assert time.monotonic() - began < 30, "it waited for the pipe"
    taken = bytearray()
    reader = threading.Thread(target=_read_into, args=(reading, taken), daemon=True)
    reader.start()
    wait_until(lambda: b"event=lost" in taken, "what was lost is told", 20)
    lines = taken.decode().splitlines()
    lost = sum(int(parse(line.partition(" ")[2])["lines"]) for line in lines if "event=lost" in line)
    wait_until(lambda: taken.endswith(b"\n"), "the last line is whole", 5)
    assert lost + sum(" logger=tests.blocked " in line for line in taken.decode().splitlines()) == 3000
    os.close(writing)


def _read_into(descriptor: int, taken: bytearray) -> None:
    while piece := os.read(descriptor, 65536):
        taken += piece


def test_a_syslog_that_is_away_is_found_again(tmp_path: Path, logging_to: Callable[[str], QueuedHandler]) -> None:
    path = tmp_path / "log"
    handler = logging_to(f"syslog:{path}")
    _number(handler, 1)
    with _syslog(path) as first:
        _number(handler, 2)
        told = [first.recv(8192).decode() for _ in range(2)]
    assert told[0] == f"<22>mailspool[{os.getpid()}]: id=id-2 event=ended"
    assert told[1].endswith("event=lost lines=1")
    path.unlink()
    _number(handler, 3)
    with _syslog(path) as second:
        _number(handler, 4)
        assert second.recv(8192).decode().endswith("id=id-4 event=ended")


def _syslog(path: Path) -> socket.socket:
    there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    there.bind(str(path))
    there.settimeout(10)
    return there


def test_a_syslog_that_takes_nothing_stops_nobody(
    tmp_path: Path, logging_to: Callable[[str], QueuedHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "FLUSH_SECONDS", 0.2)
    with _syslog(tmp_path / "log") as there:
        handler = logging_to(f"syslog:{tmp_path / 'log'}")
        began = time.monotonic()
        _number(handler, 1, 2000)
        assert time.monotonic() - began < 30
        assert there.recv(8192).decode().endswith("id=id-1 event=ended")


def test_a_forked_process_writes_its_own_lines_alone(
    tmp_path: Path, logging_to: Callable[[str], QueuedHandler]
) -> None:
    path = tmp_path / "mail.log"
    handler = logging_to(f"file:{path}")
    mail_log.write("ended", "parent")
    if (child := os.fork()) == 0:
        mail_log.write("ended", "child")
        handler.flush()
        os._exit(0)
    os.waitpid(child, 0)
    _number(handler, 1)
    assert [event["id"] for event in MailLog(path).events()] == ["parent", "child", "id-1"]


def test_for_the_journal_lines_have_a_priority_instead_of_the_time(tmp_path: Path) -> None:
    code = (
        "import logging, os; from spool.events import queue\n"
        "here = os.fstat(2); os.environ['JOURNAL_STREAM'] = f'{here.st_dev}:{here.st_ino}'\n"
        "logging.getLogger().addHandler(queue.program('text'))\n"
        "logging.error('one\\ntwo'); logging.getLogger().info('nothing'); logging.warning('three')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, stderr=subprocess.PIPE, check=True)
    assert done.stderr.decode().splitlines() == [
        r'<3>level=ERROR logger=root text="one\ntwo"',
        "<4>level=WARNING logger=root text=three",
    ]


def test_a_command_of_a_person_keeps_the_log_off_their_terminal(tmp_path: Path) -> None:
    code = (
        "import logging, sys; from spool.events import mail_log, queue\n"
        "log = logging.getLogger(mail_log.NAME); log.addHandler(queue.mail('stderr', 'text')); log.setLevel(20)\n"
        "mail_log.write('ended', '0abc')\n"
    )
    said = {}
    for command in ("smtpd", "spool"):
        done = subprocess.run([sys.executable, "-c", code, command], cwd=PROJECT, stderr=subprocess.PIPE, check=True)
        said[command] = done.stderr.decode()
    assert said["smtpd"].endswith("id=0abc event=ended\n")
    assert said["spool"] == ""


@pytest.mark.parametrize("where", ["", "stdout", "file:", "file:mail.log", "syslog:", "syslog:localhost", "file"])
def test_a_place_that_is_none_is_refused_with_those_that_are(where: str) -> None:
    with pytest.raises(NoSuchPlace, match="it must be stderr, syslog, "):
        chosen(where, "text")
