"""Many domains that have their mail with one receiver: its limit counts for all of them, and connections serve all."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from bench.destinations import figures, hosts, mail
from bench.destinations.figures import Figure
from bench.destinations.hosts import Host
from bench.destinations.network import Network
from bench.systems import MailspoolSystem
from tests.support.waiting import wait_until

# As in Settings: connections per destination.
LIMIT = 20
# One for each domain, and at least so many.
FEWEST = 2500
_IPS = ["127.41.0.1", "127.41.0.2", "127.41.0.3"]


def run(options: argparse.Namespace, database: str, folder: Path, console: Console) -> Iterator[Figure]:
    # One name for all: an MX set of its own has each domain of the network, and these share theirs.
    domains = {f"d{number}.shared.test": _IPS for number in range(options.shared)}
    with Network(folder, [Host("shared", hosts.TAKES, _IPS)], {"one.test": _IPS, **domains}, "shared.test") as network:
        system = MailspoolSystem(
            folder, database, dns=network.dns, sink_port=network.port, workers=options.workers, profile=False
        )
        system.start()
        try:
            count = max(FEWEST, options.shared)
            alone = _rate(system, network, ["one.test"] * count)
            opened = network.counts("shared").opened
            many = _rate(system, network, [f"d{number % options.shared}.shared.test" for number in range(count)])
        finally:
            found = network.counts("shared")
            system.stop()
    console.print(f"site: {many:.0f}/s to {options.shared} domains, {alone:.0f}/s to one")
    yield figures.at_most("site", "connections at once", found.most, LIMIT)
    # Each of them has to be looked up.
    yield figures.figure("site", f"rate to {options.shared} domains", many, "/s")
    yield figures.figure("site", "rate to one domain", alone, "/s")
    yield figures.figure("site", "messages a connection, many domains", count / max(1, found.opened - opened), "", 1)
    yield figures.figure("site", "messages a connection, one domain", count / max(1, opened), "", 1)


def _rate(system: MailspoolSystem, network: Network, domains: list[str]) -> float:
    """Messages a second, of what is there when the workers begin."""
    goal = network.counts("shared").taken + len(domains)
    system.intake_only()
    mail.put(system.port, [(f"one@other{number % 1000}.test", f"bob@{to}") for number, to in enumerate(domains)])
    for worker in system.mailspool.workers:
        worker.start()
    began, first = 0.0, goal - len(domains)
    wait_until(lambda: network.counts("shared").taken > first, "the first has left", 60, every=0.02)
    began = time.monotonic()
    left = len(domains) / mail.SLOWEST
    wait_until(lambda: network.counts("shared").taken >= goal, "all have left", max(60, left), every=0.05)
    return len(domains) / (time.monotonic() - began)
