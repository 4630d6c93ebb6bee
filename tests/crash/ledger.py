"""Who was promised what: the client's side of a crash test, and the settling of accounts at its end."""

from __future__ import annotations

import random
import re
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.sink import CountingSink

LOCAL_DOMAIN = "here.test"
REMOTE_DOMAIN = "sink.test"
LOCAL = tuple(f"{name}@{LOCAL_DOMAIN}" for name in ("ann", "bob", "cleo"))
REMOTE = tuple(f"{name}@{REMOTE_DOMAIN}" for name in ("dan", "eve", "finn"))
SENDER = f"ann@{LOCAL_DOMAIN}"
# Small and one that is spilled to disk while it arrives.
SIZES = (600, 4096, 40_000)

# How long a delivery may wait to be recorded: a commit, or the database's restart.
UNRECORDED_SECONDS = 15.0
_TEST_ID = re.compile(rb"(?im)^x-test-id:[ \t]*(\S+)")

Delivery = tuple[str, str]


@dataclass
class Ledger:
    """What the clients were told. A message is never sent twice: one whose answer got lost has an open end."""

    prefix: str
    acknowledged: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def new_test_id(self) -> str:
        with self._lock:
            self._next += 1
            return f"{self.prefix}-{self._next}"

    @property
    def promised(self) -> set[Delivery]:
        """Every delivery that a 250 stands for."""
        return {(test_id, to) for test_id, recipients in self.acknowledged.items() for to in recipients}


class Clients:
    """Threads that send until `goal` messages were answered 250, or stopped; they come back after every failure.

    Each rests for `pause_seconds` after a message.
    """

    def __init__(
        self,
        mailspool: MailspoolUnderTest,
        ledger: Ledger,
        goal: int = 1_000_000,
        *,
        count: int = 4,
        pause_seconds: float = 0.0,
        recipients: Callable[[random.Random], tuple[str, ...]] | None = None,
        body: str = "",
    ) -> None:
        self._body = body
        self._recipients = recipients or some_recipients
        self._pause = pause_seconds
        self._mailspool = mailspool
        self._ledger = ledger
        self._goal = goal
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{ledger.prefix}{number}"),), daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def finish(self, seconds: float = 60.0) -> None:
        """Wait until the goal is reached, or the time is over."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.stop()

    def stop(self) -> None:
        """Have them end; returns when they have."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, chance: random.Random) -> None:
        while not self._stop.is_set() and len(self._ledger.acknowledged) < self._goal:
            try:
                with self._mailspool.smtp() as client:
                    self._session(client, chance)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.1)

    def _session(self, client: smtplib.SMTP, chance: random.Random) -> None:
        """Up to 20 messages over one connection."""
        for _ in range(20):
            if self._stop.is_set() or len(self._ledger.acknowledged) >= self._goal:
                return
            if not send_one(client, self._ledger, self._recipients(chance), chance.choice(SIZES), self._body):
                client.rset()
                time.sleep(0.05)
            self._stop.wait(self._pause)


def some_recipients(chance: random.Random) -> tuple[str, ...]:
    """Local, remote, or both."""
    everyone = chance.choice((LOCAL, REMOTE, LOCAL + REMOTE))
    return tuple(chance.sample(everyone, chance.choice((1, 1, 1, 2, 3))))


def send_one(client: smtplib.SMTP, ledger: Ledger, recipients: Sequence[str], size: int, body: str = "") -> bool:
    """Send a new message and write down the answer; whether it was 250. Raises what smtplib raises for a lost line."""
    test_id = ledger.new_test_id()
    code, reply = client.mail(SENDER)
    if code == 250:
        for to in recipients:
            code, reply = client.rcpt(to)
            if code != 250:
                break
    if code != 250:
        ledger.refused[test_id] = f"{code} {reply.decode(errors='replace')}"
        return False
    ledger.unanswered.add(test_id)
    content = a_message(recipients, SENDER, subject=test_id, size=size, body=body or "Hello\r\n", test_id=test_id)
    code, reply = client.data(content)
    ledger.unanswered.discard(test_id)
    if code == 250:
        ledger.acknowledged[test_id] = tuple(recipients)
        return True
    ledger.refused[test_id] = f"{code} {reply.decode(errors='replace')}"
    return False


@dataclass
class Account:
    """What arrived, against what was promised."""

    lost: set[Delivery]
    remote: dict[Delivery, list[float]]
    local_duplicates: int
    refused_but_delivered: set[str]

    @property
    def remote_duplicates(self) -> int:
        return sum(len(times) - 1 for times in self.remote.values())

    def unexplained(self, deaths: Sequence[float], seconds: float = UNRECORDED_SECONDS) -> list[Delivery]:
        """Duplicates of which no worker died with the first delivery still unrecorded."""
        return [
            delivery
            for delivery, times in self.remote.items()
            for before, after in pairwise(sorted(times))
            if not any(before <= death + 0.1 and death <= min(before + seconds, after) for death in deaths)
        ]

    def before_death(self, deaths: Sequence[float]) -> list[int]:
        """How many milliseconds before a death each delivery was that was repeated."""
        firsts = (sorted(times)[0] for times in self.remote.values() if len(times) > 1)
        return sorted(
            min((int(1000 * (death - at)) for death in deaths if death + 0.1 > at), default=-1) for at in firsts
        )

    def __str__(self) -> str:
        return (
            f"{len(self.lost)} lost, duplicates: {self.remote_duplicates} remote, {self.local_duplicates} local,"
            f" {len(self.refused_but_delivered)} delivered though refused"
        )


def settle(ledger: Ledger, mailspool: MailspoolUnderTest, sink: CountingSink) -> Account:
    """Compare the client's ledger with the sink and the Maildirs."""
    remote: dict[Delivery, list[float]] = {}
    for receipt in sink.receipts():
        if receipt.test_id.startswith(f"{ledger.prefix}-"):
            for to in receipt.recipients:
                remote.setdefault((receipt.test_id, to), []).append(receipt.at)
    local = local_deliveries(mailspool, ledger.prefix)
    arrived = remote.keys() | local.keys()
    return Account(
        lost=ledger.promised - arrived,
        remote=remote,
        local_duplicates=sum(count - 1 for count in local.values()),
        refused_but_delivered={test_id for test_id, _ in arrived} & ledger.refused.keys(),
    )


def local_deliveries(mailspool: MailspoolUnderTest, prefix: str) -> Counter[Delivery]:
    """How often each message is in each Maildir."""
    found: Counter[Delivery] = Counter()
    for address in LOCAL:
        for path in mailspool.maildir(address):
            match = _TEST_ID.search(path.read_bytes()[:4096])
            if match and match[1].decode().startswith(f"{prefix}-"):
                found[match[1].decode(), address] += 1
    return found
