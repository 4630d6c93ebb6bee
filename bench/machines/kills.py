"""Whole machines killed amid mail, with drains, deaths of the database and losses of Redis between."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.destinations import figures
from bench.destinations.figures import Figure
from bench.machines.cluster import Cluster
from bench.machines.late_sink import LateSink
from tests.crash.ledger import REMOTE, REMOTE_DOMAIN, Clients, Ledger, settle
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.waiting import wait_until

# A lease lapses after 30 seconds; whoever takes over looks every few.
GOES_ON_SECONDS = 40.0


@dataclass
class Outcome:
    """What a run did and saw. `goes_on`: seconds until nothing waited for a machine that stayed dead."""

    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    kills: int = 0
    goes_on: list[float] = field(default_factory=list)
    beside: dict[str, int] = field(default_factory=dict)


def run(options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Figure]:
    seen = kill(folder, options.machines, options.messages, options.kills, options.late_ms, options.seed, console)
    scenario = f"{options.machines} machines, {seen.kills} killed"
    yield figures.figure(scenario, "messages that were answered 250", seen.acknowledged)
    yield figures.at_most(scenario, "lost", seen.lost, 0)
    yield figures.figure(scenario, "delivered twice", seen.doubled)
    yield figures.figure(scenario, "delivered twice for each kill", seen.doubled / max(1, seen.kills), digits=1)
    if seen.goes_on:
        longest = max(seen.goes_on)
        yield figures.at_most(scenario, "until mail of the dead went on elsewhere", longest, GOES_ON_SECONDS, "s", 1)
    for what, count in seen.beside.items():
        yield figures.figure(scenario, f"meanwhile: {what}", count)


def kill(folder: Path, machines: int, messages: int, kills: int, late_ms: int, seed: int, console: Console) -> Outcome:
    """Send at least `messages` while so many machines die; return when all mail has left."""
    chance, ledger, outcome = random.Random(seed), Ledger("machine"), Outcome()
    sink, cluster = LateSink(folder, late_ms), Cluster(folder, machines, [REMOTE_DOMAIN])
    clients: list[Clients] = []
    try:
        sink.start()
        cluster.prepare(sink.port, max_connections_per_ip=1000, max_per_destination=200, retry_intervals_minutes="0.1")
        cluster.start()
        pause = 0.05 * machines
        clients += [
            Clients(machine, ledger, count=2, pause_seconds=pause, recipients=_one) for machine in cluster.machines
        ]
        for client in clients:
            client.start()
        events = _Events(cluster, chance, outcome)
        for number in range(kills):
            wait_until(lambda: len(sink.receipts()) > 0, "mail flows", 60)
            time.sleep(chance.uniform(1, 3))
            events.kill_a_machine(stays_dead=number % 2 == 0)
            events.something_else()
            console.print(f"{number + 1} killed, {len(ledger.acknowledged)} answered 250, {outcome.goes_on[-1:]}")
        wait_until(lambda: len(ledger.acknowledged) >= messages, f"{messages} were sent", 60 + messages / 5, every=1)
        for client in clients:
            client.stop()
        cluster.machines[0].wait_until_empty(180)
        account = settle(ledger, cluster.machines[0], sink)
        console.print(str(account))
        outcome.acknowledged, outcome.lost = len(ledger.acknowledged), len(account.lost)
        outcome.doubled = account.remote_duplicates
        return outcome
    finally:
        for client in clients:
            client.stop()
        cluster.stop()
        sink.stop()


def _one(chance: random.Random) -> tuple[str, ...]:
    return (chance.choice(REMOTE),)


class _Events:
    """What befalls the machines."""

    def __init__(self, cluster: Cluster, chance: random.Random, outcome: Outcome) -> None:
        self._cluster, self._chance, self._outcome = cluster, chance, outcome
        others: dict[str, Callable[[], None]] = {
            "machines drained": self._drain,
            "PostgreSQL killed": self._postgres,
            "Redis killed": self._redis,
            "Redis emptied": self._flush,
        }
        self._others = others

    def kill_a_machine(self, *, stays_dead: bool) -> None:
        """All of its programs at once. One that stays dead is started when nothing waits for it; others at once."""
        machine = self._chance.choice(self._cluster.machines)
        workers = {pid for worker in machine.workers for pid in worker.pids}
        machine.kill_programs()
        self._outcome.kills += 1
        if stays_dead:
            died = time.monotonic()
            wait_until(lambda: not self._held_by(machine, workers), "its mail goes on", 90, every=0.25)
            self._outcome.goes_on.append(time.monotonic() - died)
        else:
            time.sleep(self._chance.uniform(0, 3))
        machine.start()

    def something_else(self) -> None:
        """One of the others, each as often."""
        beside = self._outcome.beside
        fewest = min(beside.get(name, 0) for name in self._others)
        name = self._chance.choice([name for name in self._others if beside.get(name, 0) == fewest])
        beside[name] = fewest + 1
        self._others[name]()

    def _held_by(self, machine: MailspoolUnderTest, workers: set[int]) -> int:
        """Messages in the spool that were handed to workers that died, and were not taken over."""
        whose = " OR ".join(f"leased_by LIKE '%:{pid}:%'" for pid in workers)
        [(count,)] = machine.rows(f"SELECT count(*) FROM spool_entry WHERE {whose}")
        return int(count)

    def _drain(self) -> None:
        machine, by = self._chance.sample(self._cluster.machines, 2)
        name = machine.env["MAILSPOOL_MACHINE"]
        by.manage("machine", "drain", name, "--wait", "--timeout", "60", seconds=120)
        by.manage("machine", "resume", name)

    def _postgres(self) -> None:
        self._cluster.postgres.kill()
        time.sleep(self._chance.uniform(0, 3))
        self._cluster.postgres.start()

    def _redis(self) -> None:
        self._cluster.redis.kill()
        time.sleep(self._chance.uniform(0, 3))
        self._cluster.redis.start()

    def _flush(self) -> None:
        with self._cluster.redis.client() as client:
            client.flushall()
