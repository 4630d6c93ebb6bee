"""Many domains of which a fifth is dead or hangs: when the last message to the others is there."""

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
from tests.support.postfix import PostfixServer

MESSAGES = 10
# One of so many is dead, of each kind in turn.
ONE_OF = 5
KINDS = [
    hosts.UNREACHABLE,
    hosts.SILENT,
    hosts.REFUSES,
    hosts.HANGS_AT_DATA,
    hosts.DROPS,
    hosts.TARPITS,
    hosts.HANGS_AFTER_IT,
]


def run(options: argparse.Namespace, database: str, folder: Path, console: Console) -> Iterator[Figure]:
    addresses = {f"d{n}.test": f"127.{50 + n // 62_500}.{n // 250 % 250}.{n % 250 + 1}" for n in range(options.domains)}
    names = list(addresses)
    dead = names[::ONE_OF]
    receivers = [Host(kind, kind, [addresses[name] for name in dead[n :: len(KINDS)]]) for n, kind in enumerate(KINDS)]
    alive = [name for number, name in enumerate(names) if number % ONE_OF]
    receivers.append(Host("alive", hosts.TAKES, [addresses[name] for name in alive]))
    with Network(folder, receivers, {name: [ip] for name, ip in addresses.items()}) as network:
        ours = _with_mailspool(options, database, folder, network, names, len(alive) * MESSAGES)
        console.print(f"dead: the last live message after {ours:.1f} s")
        theirs = 0.0
        if not options.no_postfix:
            theirs = _with_postfix(options, folder, network, addresses, len(alive) * MESSAGES)
            console.print(f"dead: with Postfix after {theirs:.1f} s")
    last = f"last of {len(alive) * MESSAGES} messages to live hosts"
    if options.no_postfix:
        yield figures.figure("dead", last, ours, "s", 1)
    else:
        yield figures.at_most("dead", last, ours, theirs, "s", 1)


def _with_mailspool(
    options: argparse.Namespace, database: str, folder: Path, network: Network, names: list[str], goal: int
) -> float:
    system = MailspoolSystem(
        folder, database, dns=network.dns, sink_port=network.port, workers=options.workers, profile=False
    )
    system.start()
    try:
        return _seconds(system.port, network, names, goal, options.patience)
    finally:
        system.stop()


def _with_postfix(
    options: argparse.Namespace, folder: Path, network: Network, addresses: dict[str, str], goal: int
) -> float:
    """As Debian sets it up. It is told where each domain is, for it asks no DNS at a port of ours."""
    table = folder / "transport"
    table.write_text("".join(f"{name} smtp:[{ip}]:{network.port}\n" for name, ip in addresses.items()))
    server = PostfixServer({"transport_maps": f"texthash:{table}"})
    server.start()
    try:
        return _seconds(server.port, network, list(addresses), goal, options.patience)
    finally:
        server.stop()


def _seconds(port: int, network: Network, names: list[str], goal: int, patience: float) -> float:
    """From the first message on; at most `patience`, which is what it took then."""
    before = network.counts("alive").taken
    began = time.time()
    mail.put(port, [(f"one@other{n % 1000}.test", f"bob@{name}") for n, name in enumerate(names * MESSAGES)])
    while network.counts("alive").taken < before + goal:
        if time.time() - began > patience:
            return patience
        time.sleep(0.1)
    return network.receipts()[-1].at - began
