"""One machine, and then several, with a next hop whose answers take a while: messages a second."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from bench.destinations import figures, mail
from bench.destinations.figures import Figure
from bench.machines.cluster import Cluster
from bench.machines.late_sink import LateSink
from tests.support.waiting import wait_until

# So many that the limit of a destination does not count.
DOMAINS = [f"far{number}.test" for number in range(5)]
# Messages in hand for each connection.
HAND = 4
# At least so much of what so many machines could do.
BAR = 3.5 / 4


def run(options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Figure]:
    rates: dict[int, list[float]] = {}
    for turn in range(options.rounds):
        for number in (1, options.machines):
            rate = _rate(options, folder / f"{turn}-{number}", number)
            console.print(f"{number} machine(s): {rate:.1f} messages/s")
            rates.setdefault(number, []).append(rate)
    ratios = sorted(many / one for one, many in zip(rates[1], rates[options.machines], strict=True))
    for number, found in rates.items():
        said = f"messages/s, {options.late_ms} ms an answer, {options.connections} connections each"
        yield figures.figure(f"{number} machine(s)", said, sorted(found)[len(found) // 2], digits=1)
    yield figures.at_least(
        f"{options.machines} by 1", "median ratio", ratios[len(ratios) // 2], BAR * options.machines, digits=2
    )


def _rate(options: argparse.Namespace, folder: Path, number: int) -> float:
    """Of the middle half of the messages, by when they arrived: then all machines are at work."""
    folder.mkdir(mode=0o755)
    messages = options.messages * number
    sink, cluster = LateSink(folder, options.late_ms), Cluster(folder, number, DOMAINS)
    try:
        sink.start()
        # Each machine has so many connections, however many there are. What it has in hand beyond that waits in it, as
        # by default four times as many do: with more, the first would have all that waits here in hand.
        cluster.prepare(sink.port, max_remote_deliveries=options.connections, max_deliveries=HAND * options.connections)
        cluster.start()
        for machine in cluster.machines:
            machine.workers[0].stop()
        # To all domains in turn, by many senders, so that no limit of one is in the way.
        senders = (f"one@other{number % 1000}.test" for number in range(messages))
        mail.put(
            cluster.machines[0].smtp_port,
            [(sender, f"bob@{DOMAINS[number % len(DOMAINS)]}") for number, sender in enumerate(senders)],
        )
        for machine in cluster.machines:
            machine.workers[0].start()
        seconds = 60 + 2 * messages * 5 * options.late_ms / 1000 / options.connections
        wait_until(lambda: len(sink.receipts()) >= messages, f"{messages} have arrived", seconds, every=1)
        moments = sorted(receipt.at for receipt in sink.receipts())
        first, last = messages // 4, messages * 3 // 4
        return (last - first) / (moments[last] - moments[first])
    finally:
        cluster.stop()
        sink.stop()
