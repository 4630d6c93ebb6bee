"""Where mail goes in tests: Postfix's smtp-sink, and a sink of our own that knows one message from another."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.ports import free_port, is_listening

PROJECT = Path(__file__).resolve().parents[2]


class SmtpSink:
    """`smtp-sink` of Postfix. `options` are its own, as ("-f", "RCPT") to refuse every recipient."""

    def __init__(self, folder: Path, port: int = 0, options: Sequence[str] = ()) -> None:
        self.port = port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        binary = shutil.which("smtp-sink", path=f"{os.environ['PATH']}:/usr/sbin") or "smtp-sink"
        # It insists on an ordinary user when root starts it.
        identity = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.daemon = Daemon(
            "smtp-sink",
            [binary, *identity, "-c", "-h", "sink.test", *options, f"127.0.0.1:{self.port}", "1000"],
            folder / f"smtp-sink-{self.port}.log",
        )

    def start(self) -> None:
        self.daemon.start(lambda: is_listening(self.port))

    def stop(self) -> None:
        self.daemon.kill()

    @property
    def count(self) -> int:
        """Messages taken since it started, from the counter that `-c` keeps printing over itself."""
        try:
            with self.daemon.log.open("rb") as log:
                log.seek(max(0, self.daemon.log.stat().st_size - 200))
                tail = log.read()
        except FileNotFoundError:
            return 0
        for piece in reversed(tail.split(b"mesg=")[1:]):
            digits = piece.split(b"\r")[0].strip()
            # What is being written just now may be cut short: a whole number ends with the carriage return.
            if digits.isdigit() and b"\r" in piece:
                return int(digits)
        return 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message that the sink took. `at` is seconds since the epoch."""

    at: float
    test_id: str
    sender: str
    recipients: tuple[str, ...]


class CountingSink:
    """Our own sink, in a process of its own: see tests.support.counting_sink for what it can be asked."""

    def __init__(self, folder: Path, port: int = 0, *, keep: bool = False) -> None:
        self.port = port or free_port()
        self.record = folder / f"received-{self.port}.txt"
        self.messages = folder / f"messages-{self.port}"
        self.messages.mkdir(parents=True, exist_ok=True)
        self.record.touch()
        kept = [str(self.messages)] if keep else []
        self.daemon = Daemon(
            "counting-sink",
            [sys.executable, "-m", "tests.support.counting_sink", str(self.port), self.record, *kept],
            folder / f"counting-sink-{self.port}.log",
            cwd=PROJECT,
        )

    def start(self) -> None:
        self.daemon.start(lambda: is_listening(self.port))

    def stop(self) -> None:
        self.daemon.stop(5)

    def receipts(self) -> list[Receipt]:
        """All messages so far, in the order of their arrival."""
        return receipts_in(self.record)

    def deliveries(self) -> Counter[tuple[str, str]]:
        """How often each (X-Test-Id, recipient) was taken."""
        return Counter((receipt.test_id, to) for receipt in self.receipts() for to in receipt.recipients)

    def kept(self, test_id: str) -> list[bytes]:
        """The messages with that X-Test-Id, dots unstuffed, if the sink keeps them."""
        return [path.read_bytes() for path in sorted(self.messages.glob(f"{test_id}.*.eml"))]


def receipts_in(record: Path) -> list[Receipt]:
    """What a counting sink has written down so far."""
    receipts = []
    for line in record.read_text().split("\n")[:-1]:
        at, test_id, sender, recipients = line.split("\t")
        receipts.append(Receipt(int(at) / 1e9, test_id, sender, tuple(recipients.split())))
    return receipts
