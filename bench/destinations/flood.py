"""A stranger's flood: mail to a host that makes us wait, while mail for here and to others goes on."""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from rich.console import Console

from base.batches import batched
from bench.destinations import figures, hosts, mail
from bench.destinations.figures import Figure
from bench.destinations.hosts import Host
from bench.destinations.network import Network
from bench.systems import MailspoolSystem

LOCAL_BAR_SECONDS, RATE_BAR_PERCENT = 2.0, 90.0
# It refuses all recipients for good, so that their senders get notices.
_REFUSING = "550.bob@refusing.test"
_REFUSING_IP = "127.9.0.1"
_LIST_ADDRESS = f"list@{mail.LOCAL_DOMAIN}"
_LIST = "from accounts import actions\nactions.add_list({address!r}, {members!r}, posting='anyone')"
# Hosts of which nothing is known, of one domain each.
_FRESH_IPS = [f"127.10.{number // 250}.{number % 250 + 1}" for number in range(2000)]


@dataclass(frozen=True, slots=True)
class Variant:
    """What the host of the flood does at each of its `addresses`, which are one MX set unless there is `one_each`.

    Each message goes to a domain of its own, or to `many` of them; `as_notices` by way of a message that is refused
    elsewhere, and `to_list` to a list of this server with as many members. `names` are how many MX hosts there are for
    each address. All are from `one_sender`, or each from another.
    """

    name: str
    does: str
    addresses: list[str] = field(default_factory=list)
    as_notices: bool = False
    one_each: bool = False
    names: int = 1
    many: int = 1
    to_list: bool = False
    one_sender: bool = False


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
        Variant("drips", hosts.DRIPS, at(31, 500), one_each=True),
        Variant("slow", hosts.SLOW, at(32, 500), one_each=True),
        Variant("rambles", hosts.RAMBLES, at(33, 50), one_each=True),
        Variant("hangs-at-tls", hosts.HANGS_AT_TLS, at(34, 500), one_each=True),
        Variant("says-goodbye", hosts.SAYS_GOODBYE, at(35)),
        Variant("many-names", hosts.SILENT, at(36), names=50),
        Variant("two-kinds", hosts.SILENT, ["::1", *at(37)]),
        Variant("many-recipients", hosts.SILENT, at(38, 500), one_each=True, many=50),
        Variant("list", hosts.UNREACHABLE, at(39, 100), one_each=True, to_list=True),
        Variant("one-sender", hosts.SLOW, at(42), one_sender=True),
        Variant("dead-dns", ""),
        Variant("nxdomain", ""),
    ]


VARIANTS = [variant.name for variant in _variants()]


def run(options: argparse.Namespace, database: str, folder: Path, console: Console) -> Iterator[Figure]:
    variants = [variant for variant in _variants() if variant.name in options.variants]
    receivers = [Host(variant.name, variant.does, variant.addresses) for variant in variants if variant.addresses]
    receivers += [Host("refusing", hosts.TAKES, [_REFUSING_IP]), Host("fresh", hosts.TAKES, _FRESH_IPS)]
    names = {f"*.{variant.name}.test": variant.names for variant in variants}
    domains = {"refusing.test": [_REFUSING_IP]} | {f"f{number}.test": [ip] for number, ip in enumerate(_FRESH_IPS)}
    for variant in variants:
        if variant.one_each:
            domains |= {f"x{n}.{variant.name}.test": [ip] for n, ip in enumerate(variant.addresses)}
        elif variant.name != "nxdomain":
            domains[f"*.{variant.name}.test"] = variant.addresses
    with Network(folder, receivers, domains, names=names) as network:
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
    if variant.to_list:
        system.mailspool.run(_LIST.format(address=_LIST_ADDRESS, members=_members(variant, options.flood)))
    flood = _flood(variant, options.flood)
    with _trickles(system, f"{variant.name}-1", fresh_numbers):
        before = _paces(system, network, options)
    with _trickles(system, f"{variant.name}-2", fresh_numbers) as (local, fresh):
        flooding = threading.Thread(target=mail.put, args=(system.port, flood))
        flooding.start()
        flooding.join()
        # What holds out longest has begun to by now.
        time.sleep(2)
        during = _paces(system, network, options)
        time.sleep(options.seconds)
        during += _paces(system, network, options)
    local_seconds, fresh_seconds = mail.seconds_of(system, local), mail.seconds_of(system, fresh)
    _clear(system)
    with _trickles(system, f"{variant.name}-3", fresh_numbers):
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


@contextmanager
def _trickles(
    system: MailspoolSystem, name: str, fresh_numbers: Iterator[int]
) -> Iterator[tuple[mail.Trickle, mail.Trickle]]:
    """A few messages a second for here, and to hosts of which nothing is known; also while there is no flood, for they
    cost something, too.
    """
    local = mail.Trickle(system.port, f"local@{name}-l.test", lambda number: mail.LOCAL, 5)
    fresh = mail.Trickle(system.port, f"fresh@{name}-f.test", lambda number: f"bob@f{next(fresh_numbers)}.test", 2)
    try:
        yield local, fresh
    finally:
        local.end()
        fresh.end()


def _paces(system: MailspoolSystem, network: Network, options: argparse.Namespace) -> list[mail.Pace]:
    return [mail.pace(system, network, options.others) for _ in range(options.rounds)]


def _middle(paces: list[mail.Pace], name: str) -> float:
    return statistics.median(getattr(pace, name) for pace in paces)


def _flood(variant: Variant, messages: int) -> list[tuple[str, str]]:
    """Each to a domain of its own, by a sender who is within his share."""
    if variant.to_list:
        return [(f"bob@x{number}.{variant.name}.test", _LIST_ADDRESS) for number in range(3)]
    domains = _domains(variant, messages)
    if variant.as_notices:
        return [(f"mallory@{domain}", _REFUSING) for domain in domains]
    senders = (f"mallory@s{0 if variant.one_sender else number}.{variant.name}.test" for number in range(messages))
    to = [f"bob@{domain}" for domain in domains]
    return [(sender, ",".join(some)) for sender, some in zip(senders, batched(to, variant.many), strict=False)]


def _domains(variant: Variant, messages: int) -> list[str]:
    different = len(variant.addresses) if variant.one_each else messages
    return [f"x{number % different}.{variant.name}.test" for number in range(messages)]


def _members(variant: Variant, number: int) -> list[str]:
    return [f"bob{count}@{domain}" for count, domain in enumerate(_domains(variant, number))]


def _clear(system: MailspoolSystem) -> None:
    """Begin the next with an empty spool, and workers that know nothing."""
    for worker in system.mailspool.workers:
        worker.kill()
    system.mailspool.run("from spool.models import Entry\nEntry.objects.all().delete()")
    for worker in system.mailspool.workers:
        worker.start()
    system.mailspool.wait_for_workers()
    time.sleep(1)
