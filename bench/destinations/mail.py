"""Sending to a system under test, and what its database says of how long mail took."""

from __future__ import annotations

import json
import smtplib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import accounting
from bench.destinations.network import FAST_DOMAIN, Network
from bench.systems import MailspoolSystem
from tests.support.messages import a_message
from tests.support.waiting import wait_until

LOCAL_DOMAIN, LOCAL = "here.test", "ann@here.test"
CLIENTS = 4
SENDERS = 50
# A run that is slower than this many messages a second has failed.
SLOWEST = 10
_SIZE_BYTES = 4096

_SECONDS = """
import json
from spool.models import Trace
rows = Trace.objects.filter(sender={sender!r}, outcome="delivered").values_list("created", "ended")
print(json.dumps([(ended - created).total_seconds() for created, ended in rows]))
"""


def put(port: int, mail: Sequence[tuple[str, str]]) -> None:
    """Hand in a message for each (sender, recipients with commas), in their order, by some clients."""
    threads = [threading.Thread(target=_put, args=(port, mail[number::CLIENTS])) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _put(port: int, mail: Sequence[tuple[str, str]]) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=60) as client:
        for sender, to in mail:
            client.sendmail(sender, to.split(","), a_message(to, sender, size=_SIZE_BYTES, test_id="1"))


@dataclass(frozen=True, slots=True)
class Pace:
    """Messages a second, and milliseconds of the workers' CPU for each."""

    per_second: float
    cpu_ms: float


def pace(system: MailspoolSystem, network: Network, messages: int) -> Pace:
    """From clients to the host that takes all. The senders are within their shares."""
    workers = system.parts()["workers"]
    goal, cpu, began = network.sink.count + messages, accounting.cpu_seconds(workers), time.monotonic()
    put(system.port, [(f"one@other{number % SENDERS}.test", f"someone@{FAST_DOMAIN}") for number in range(messages)])
    wait_until(lambda: network.sink.count >= goal, f"{messages} relayed", messages / SLOWEST, every=0.002)
    seconds = time.monotonic() - began
    return Pace(messages / seconds, (accounting.cpu_seconds(workers) - cpu) * 1000 / messages)


class Trickle:
    """One message after the other, `per_second`, from `sender` to what `to` says, until `end`."""

    def __init__(self, port: int, sender: str, to: Callable[[int], str], per_second: float) -> None:
        self.port, self.sender, self.to, self.per_second = port, sender, to, per_second
        self.sent = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.test", timeout=60) as client:
            while not self._ended.wait(1 / self.per_second):
                to = self.to(self.sent)
                client.sendmail(self.sender, [to], a_message(to, self.sender, size=_SIZE_BYTES))
                self.sent += 1

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


def seconds_of(system: MailspoolSystem, trickle: Trickle, patience: float = 90.0) -> list[float]:
    """How long each took from the moment it was in the spool until it was delivered, in order of length.

    What was not delivered in time took as long as was waited for it.
    """
    found: list[float] = []

    def all_are_there() -> bool:
        found[:] = json.loads(system.mailspool.run(_SECONDS.format(sender=trickle.sender)))
        return len(found) >= trickle.sent

    deadline = time.monotonic() + patience
    while not all_are_there() and time.monotonic() < deadline:
        time.sleep(1)
    return sorted(found + [patience] * (trickle.sent - len(found)))


def p95(ordered: Sequence[float]) -> float:
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] if ordered else float("nan")
