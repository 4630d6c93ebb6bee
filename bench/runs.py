"""Single measurements: taking in, relaying, and how long a message is on its way."""

from __future__ import annotations

import smtplib
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import accounting
from bench.systems import LATENCY_DOMAIN, SINK_DOMAIN, Racer, System
from tests.support.messages import a_message
from tests.support.postfix import tool
from tests.support.sink import CountingSink, SmtpSink
from tests.support.waiting import wait_until

SENDER = "source@client.test"
# A run that is slower than this many messages a second has failed.
SLOWEST = 10


@dataclass(frozen=True, slots=True)
class Relayed:
    """One run of smtp-source through a system to smtp-sink."""

    taken_per_second: float
    relayed_per_second: float
    cpu_ms_per_message: dict[str, float]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from the 250 that the client saw to the moment the next hop had the message."""

    messages: int
    p50_ms: float
    p99_ms: float
    longest_ms: float


def relay(system: Racer, sink: SmtpSink, messages: int, sessions: int, size: int) -> Relayed:
    """Send `messages` through the system; its time ends when the sink has counted them all."""
    parts = system.parts()
    before = accounting.cpu_by_part(parts)
    goal = sink.count + messages
    started = time.monotonic()
    _send(system.port, messages, sessions, size)
    taken = time.monotonic() - started
    wait_until(lambda: sink.count >= goal, f"{system.name} relayed {messages}", messages / SLOWEST, every=0.002)
    relayed = time.monotonic() - started
    # What follows the last 250 is part of the work: rows and files are removed.
    time.sleep(0.5)
    after = accounting.cpu_by_part(parts)
    cpu = {name: (after[name] - before[name]) / messages * 1000 for name in parts}
    return Relayed(messages / taken, messages / relayed, cpu)


def take_in(system: System, messages: int, sessions: int, size: int) -> float:
    """Messages a second that are made durable while nothing is delivered."""
    port = system.intake_only()
    started = time.monotonic()
    _send(port, messages, sessions, size)
    seconds = time.monotonic() - started
    system.deliver_again()
    return messages / seconds


def latency(system: System, sink: CountingSink, rate: float, seconds: float, size: int) -> Latency:
    """Send at a steady rate, whatever the answers, and compare the clocks of client and next hop."""
    count = int(rate * seconds)
    # One word, whatever the system is called: the sink reads the header up to the first blank.
    run = str(time.time_ns())
    answered: dict[str, float] = {}
    start = time.monotonic() + 0.5
    clients = 8
    threads = [
        threading.Thread(
            target=_send_at, args=(system.port, run, range(n, count, clients), start, rate, size, answered)
        )
        for n in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(answered) != count:
        raise RuntimeError(f"{system.name} took {len(answered)} of {count} messages")
    wait_until(lambda: _arrivals(sink, run).keys() >= answered.keys(), f"{system.name} delivered all", 60, every=0.5)
    arrivals = _arrivals(sink, run)
    milliseconds = sorted((arrivals[test_id] - at) * 1000 for test_id, at in answered.items())
    return Latency(count, _quantile(milliseconds, 0.50), _quantile(milliseconds, 0.99), milliseconds[-1])


def _send(port: int, messages: int, sessions: int, size: int) -> None:
    subprocess.run(
        [
            tool("smtp-source"),
            "-s",
            str(sessions),
            "-m",
            str(messages),
            "-l",
            str(size),
            "-f",
            SENDER,
            "-t",
            f"someone@{SINK_DOMAIN}",
            f"127.0.0.1:{port}",
        ],
        check=True,
        timeout=messages / SLOWEST,
    )


def _send_at(
    port: int, run: str, numbers: Sequence[int], start: float, rate: float, size: int, answered: dict[str, float]
) -> None:
    to = f"someone@{LATENCY_DOMAIN}"
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=60) as client:
        for number in numbers:
            test_id = f"{run}-{number}"
            content = a_message(to, SENDER, size=size, test_id=test_id)
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
            client.sendmail(SENDER, [to], content)
            answered[test_id] = time.time()


def _arrivals(sink: CountingSink, run: str) -> dict[str, float]:
    return {receipt.test_id: receipt.at for receipt in sink.receipts() if receipt.test_id.startswith(f"{run}-")}


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
