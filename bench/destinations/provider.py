"""A provider that takes so many messages in any minute and answers 421 to the rest; then it takes ten times as many."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from bench.destinations import figures, hosts, mail
from bench.destinations.figures import Figure
from bench.destinations.hosts import Counts, Host
from bench.destinations.network import Network
from bench.systems import MailspoolSystem

REACHED_BAR_PERCENT, REFUSED_BAR_PERCENT = 90.0, 2.0
TIMES = 10
_IP, _DOMAIN = "127.40.0.1", "strict.test"


def run(options: argparse.Namespace, database: str, folder: Path, console: Console) -> Iterator[Figure]:
    receivers = [Host("strict", hosts.TAKES, [_IP], options.limit)]
    with Network(folder, receivers, {_DOMAIN: [_IP]}) as network:
        system = MailspoolSystem(
            folder, database, dns=network.dns, sink_port=network.port, workers=options.workers, profile=False
        )
        system.start()
        try:
            # More than it takes until the end, of whom none has more than his share.
            count = int(options.limit * (options.minutes + 1) * (1 + TIMES) * 1.1)
            system.intake_only()
            mail.put(system.port, [(f"one@other{number % 1000}.test", f"bob@{_DOMAIN}") for number in range(count)])
            for worker in system.mailspool.workers:
                worker.start()
            yield from _learned("provider", network, options.limit, options.minutes, console)
            network.limit("strict", options.limit * TIMES)
            yield from _learned(f"provider, × {TIMES}", network, options.limit * TIMES, options.minutes, console)
        finally:
            system.stop()


def _learned(name: str, network: Network, limit: int, minutes: float, console: Console) -> Iterator[Figure]:
    """What is reached in the minute after it had some to be learned."""
    began = network.counts("strict")
    learned = began
    for minute in range(int(minutes) + 1):
        last = network.counts("strict")
        time.sleep(60)
        now = network.counts("strict")
        learned = learned if minute else now
        console.print(
            f"{name:16} minute {minute + 1}: took {now.taken - last.taken} of {limit},"
            f" refused {now.refused - last.refused}, {now.open} connections"
        )
    reached = 100 * (now.taken - last.taken) / limit
    yield figures.at_least(name, f"taken in the minute after {minutes:g}", reached, REACHED_BAR_PERCENT, "%")
    yield figures.at_most(name, "refused after the first minute", _refused(learned, now), REFUSED_BAR_PERCENT, "%", 1)
    yield figures.figure(name, "refused in all", _refused(began, now), "%", 1)
    yield figures.figure(name, "most connections", now.most)


def _refused(before: Counts, now: Counts) -> float:
    """The part of what was tried meanwhile."""
    refused = now.refused - before.refused
    return 100 * refused / max(1, refused + now.taken - before.taken)
