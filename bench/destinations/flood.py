"""A stranger's flood: mail to a host that makes us wait, while mail for here and to others goes on."""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from rich.console import Console

from bench.destinations import figures, hosts, mail
from bench.destinations.figures import Figure
from bench.destinations.hosts import Host
from bench.destinations.network import Network
from bench.systems import MailspoolSystem

LOCAL_BAR_SECONDS, RATE_BAR_PERCENT = 2.0, 90.0
# It refuses all recipients for good, so that their senders get notices.
_REFUSING = "550.bob@refusing.test"
_REFUSING_IP = "127.9.0.1"
# Hosts of which nothing is known, of one domain each.
_FRESH_IPS = [f"127.10.{number // 250}.{number % 250 + 1}" for number in range(2000)]


@dataclass(frozen=True, slots=True)
class Variant:
    """What the host of the flood does at each of its `addresses`, which are one MX set unless there is `one_each`.

    Each message goes to a domain of its own, `as_notices` by way of a message that is refused elsewhere.
    """

    name: str
    does: str
    addresses: list[str] = field(default_factory=list)
    as_notices: bool = False
    one_each: bool = False


def _variants() -> list[Variant]:
    def at(number: int, count: int = 1) -> list[str]:
        return [f"127.{number}.{n // 250}.{n % 250 + 1}" for n in range(count)]

    return [
        Variant("notices", hosts.SILENT, at(20), as_notices=True),
        Variant("silent", hosts.SILENT, at(21)),
        Variant("tarpit", hosts.TARPITS, at(22)),
        Variant("drops", hosts.DROPS, at(23)),
        Variant("mx-set", hosts.SILENT, at(24, 10)),
        Variant("many-ips", hosts.SILENT, at(25, 500), one_each=True),
        Variant("greylists", hosts.GREYLISTS, at(26)),
        Variant("hangs-at-data", hosts.HANGS_AT_DATA, at(27)),
        Variant("hangs-after", hosts.HANGS_AFTER_IT, at(28, 500), one_each=True),
        Variant("unreachable", hosts.UNREACHABLE, at(29, 100), one_each=True),
        Variant("refuses", hosts.REFUSES, at(30)),
        Variant("dead-dns", ""),
        Variant("nxdomain", ""),
    ]


VARIANTS = [variant.name for variant in _variants()]


def run(options: argparse.Namespace, database: str, folder: Path, console: Console) -> Iterator[Figure]:
    variants = [variant for variant in _variants() if variant.name in options.variants]
    receivers = [Host(variant.name, variant.does, variant.addresses) for variant in variants if variant.addresses]
    receivers += [Host("refusing", hosts.TAKES, [_REFUSING_IP]), Host("fresh", hosts.TAKES, _FRESH_IPS)]
    domains = {"refusing.test": [_REFUSING_IP]} | {f"f{number}.test": [ip] for number, ip in enumerate(_FRESH_IPS)}
    for variant in variants:
        if variant.one_each:
            domains |= {f"x{n}.{variant.name}.test": [ip] for n, ip in enumerate(variant.addresses)}
        elif variant.name != "nxdomain":
            domains[f"*.{variant.name}.test"] = variant.addresses
    with Network(folder, receivers, domains) as network:
        system = MailspoolSystem(
            folder, database, dns=network.dns, sink_port=network.port, workers=options.workers, profile=False
        )
        system.start()
        try:
            system.mailspool.add_domain(mail.LOCAL_DOMAIN, "ann")
            mail.pace(system, network, options.others)
            fresh_numbers = count()
            for variant in variants:
                yield from _one(variant, system, network, options, fresh_numbers, console)
        finally:
            system.stop()


def _one(
    variant: Variant,
    system: MailspoolSystem,
    network: Network,
    options: argparse.Namespace,
    fresh_numbers: Iterator[int],
    console: Console,
) -> Iterator[Figure]:
    name = f"flood, {variant.name}"
    before = _paces(system, network, options)
    local = mail.Trickle(system.port, f"local@{variant.name}-l.test", lambda number: mail.LOCAL, 5)
    fresh = mail.Trickle(
        system.port, f"fresh@{variant.name}-f.test", lambda number: f"bob@f{next(fresh_numbers)}.test", 2
    )
    flood = threading.Thread(target=mail.put, args=(system.port, _flood(variant, options.flood)))
    flood.start()
    try:
        flood.join()
        # What holds out longest has begun to by now.
        time.sleep(2)
        during = _paces(system, network, options)
        time.sleep(options.seconds)
        during += _paces(system, network, options)
    finally:
        local.end()
        fresh.end()
    local_seconds, fresh_seconds = mail.seconds_of(system, local), mail.seconds_of(system, fresh)
    _clear(system)
    before += _paces(system, network, options)
    percent = 100 * _middle(during, "per_second") / _middle(before, "per_second")
    console.print(
        f"{name:24} local p95 {mail.p95(local_seconds):.2f} s, others {percent:.0f} %,"
        f" new hosts {mail.p95(fresh_seconds):.2f} s"
    )
    yield figures.at_most(name, "local mail, p95", mail.p95(local_seconds), LOCAL_BAR_SECONDS, "s", 2)
    yield figures.at_least(name, "others' rate, of that without", percent, RATE_BAR_PERCENT, "%")
    yield figures.figure(name, "others' rate without", _middle(before, "per_second"), "/s")
    cpu = f"{_middle(during, 'cpu_ms'):.2f} ({_middle(before, 'cpu_ms'):.2f}) ms"
    yield Figure(name, "CPU for each of others' (without)", cpu)
    yield figures.figure(name, "first mail to a new host, p95", mail.p95(fresh_seconds), "s", 2)
    if variant.addresses:
        yield figures.figure(name, "connections at once", network.counts(variant.name).most)


def _paces(system: MailspoolSystem, network: Network, options: argparse.Namespace) -> list[mail.Pace]:
    return [mail.pace(system, network, options.others) for _ in range(options.rounds)]


def _middle(paces: list[mail.Pace], name: str) -> float:
    return statistics.median(getattr(pace, name) for pace in paces)


def _flood(variant: Variant, messages: int) -> list[tuple[str, str]]:
    """Each to a domain of its own, by a sender who is within his share."""
    domains = [
        f"x{number % (len(variant.addresses) if variant.one_each else messages)}.{variant.name}.test"
        for number in range(messages)
    ]
    if variant.as_notices:
        return [(f"mallory@{domain}", _REFUSING) for domain in domains]
    return [(f"mallory@s{number}.{variant.name}.test", f"bob@{domain}") for number, domain in enumerate(domains)]


def _clear(system: MailspoolSystem) -> None:
    """Begin the next with an empty spool, and workers that know nothing."""
    for worker in system.mailspool.workers:
        worker.kill()
    system.mailspool.run("from spool.models import Entry\nEntry.objects.all().delete()")
    for worker in system.mailspool.workers:
        worker.start()
    system.mailspool.wait_for_workers()
    time.sleep(1)
