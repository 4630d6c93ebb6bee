"""Whether one user's burst delays others, and what it costs to see to it that it does not.

    python -m bench.shares [--database sqlite|postgres|both] [--burst N] [--others N] [--rounds N] …

One user hands in N messages while nothing is delivered; then the workers begin, and twenty others send a few a second.
Two installations take turns: as it is, and with the turns of senders left out (bench.unshared). For the others: from
the moment their message is in the spool, just before its 250, to its first attempt. For all: messages a second until
the last has left. For the burst: the listener's CPU for each message.
"""

from __future__ import annotations

import argparse
import json
import smtplib
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import accounting, frame
from bench.systems import MailspoolSystem
from tests.support.dns import DNSServer
from tests.support.messages import a_message
from tests.support.postfix import tool
from tests.support.sink import SmtpSink
from tests.support.waiting import wait_until

FAR, SENDERS = "sink.test", 20
# A run that is slower than this many messages a second has failed.
SLOWEST = 10

_WAITED = """
import json
from spool.models import Attempt, Trace
first = {}
for name, at in Attempt.objects.order_by("at").values_list("file_name", "at"):
    first.setdefault(name, at)
others = Trace.objects.filter(sender__startswith="other").values_list("file_name", "created")
print(json.dumps([(first[name] - created).total_seconds() for name, created in others]))
Attempt.objects.all().delete()
Trace.objects.all().delete()
"""


class TooSmall(Exception):
    """The burst was gone before the others had sent anything: there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds that the others' messages waited; messages of all a second; CPU of taking in each of the burst."""

    others: int
    median: float
    p95: float
    longest: float
    rate: float
    taken_ms: float


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.shares", description="Measure what a burst does to others.")
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--burst", type=int, default=100_000, help="messages of the one user (default 100000)")
    parser.add_argument("--others", type=float, default=10.0, help="messages a second of all others (default 10)")
    parser.add_argument("--sessions", type=int, default=20, help="of the burst, at once (default 20)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", default=None, help="where spools and databases are made (default: $TMPDIR)")
    parser.add_argument("--json", type=Path, default=Path("var/bench/shares.json"), help="file of all figures")
    options = parser.parse_args(arguments)
    if not frame.can_run(on_postgresql=options.database != "sqlite"):
        return 1
    console = Console(width=120)
    runs: dict[str, list[Run]] = {}
    try:
        with frame.place(options.folder) as folder:
            for database in ("sqlite", "postgres") if options.database == "both" else (options.database,):
                _measure(database, options, folder, runs, console)
    except TooSmall as error:
        console.print(error)
        return 1
    _show(runs, options, console)
    frame.write({name: [asdict(run) for run in found] for name, found in runs.items()}, options.json)
    return 0


def _measure(
    database: str, options: argparse.Namespace, folder: Path, runs: dict[str, list[Run]], console: Console
) -> None:
    sink, dns = SmtpSink(folder), DNSServer()
    sink.start()
    dns.start()
    dns.add(FAR, "MX", f"10 mx.{FAR}.")
    dns.add(f"mx.{FAR}", "A", "127.0.0.1")
    systems = {
        name: MailspoolSystem(
            folder / name.replace(", ", "-").replace(" ", "-"),
            database,
            dns=dns.address,
            sink_port=sink.port,
            workers=options.workers,
            profile=False,
            runner=runner,
        )
        for name, runner in ((database, ""), (f"{database}, without turns", "bench.unshared"))
    }
    try:
        for system in systems.values():
            system.start()
            _burst(system, 300, 10)
            system.mailspool.wait_until_empty(120)
            system.mailspool.run(_WAITED)
        names = list(systems)
        for number in range(options.rounds):
            for name in names[number % 2 :] + names[: number % 2]:
                run = _run(systems[name], sink, options)
                runs.setdefault(name, []).append(run)
                console.print(f"{name:28} others p95 {run.p95:7.2f} s, all {run.rate:6.0f}/s")
    finally:
        for system in systems.values():
            system.stop()
        dns.stop()
        sink.stop()


def _run(system: MailspoolSystem, sink: SmtpSink, options: argparse.Namespace) -> Run:
    mailspool, goal = system.mailspool, sink.count
    listeners = system.parts()["smtpd"]
    before = accounting.cpu_seconds(listeners)
    system.intake_only()
    _burst(system, options.burst, options.sessions)
    taken_ms = (accounting.cpu_seconds(listeners) - before) / options.burst * 1000
    ended = threading.Event()
    sent: list[int] = []
    clients = [
        threading.Thread(target=_send_now_and_then, args=(system.port, number, options.others / 4, ended, sent))
        for number in range(4)
    ]
    for worker in mailspool.workers:
        worker.start()
    # A worker that has just begun is no part of it.
    wait_until(lambda: sink.count > goal, "the burst begins to leave", 120, every=0.01)
    started, before_us = time.monotonic(), sink.count - goal
    for client in clients:
        client.start()
    try:
        left = options.burst / SLOWEST
        wait_until(lambda: sink.count >= goal + options.burst, "the burst has left", left, every=0.01)
    finally:
        ended.set()
        for client in clients:
            client.join()
    total = options.burst + len(sent)
    wait_until(lambda: sink.count >= goal + total, "all have left", 60, every=0.01)
    rate = (total - before_us) / (time.monotonic() - started)
    mailspool.wait_until_empty(60)
    waited = sorted(json.loads(mailspool.run(_WAITED)))
    if not waited:
        raise TooSmall(
            f"A burst of {options.burst} has left before the others, {options.others:g} a second, sent anything:"
            " give a larger --burst, or more --others."
        )
    return Run(
        len(waited),
        statistics.median(waited),
        waited[min(len(waited) - 1, int(0.95 * len(waited)))],
        waited[-1],
        rate,
        taken_ms,
    )


def _burst(system: MailspoolSystem, messages: int, sessions: int) -> None:
    options = ["-s", str(sessions), "-m", str(messages), "-l", "4096", "-f", "burst@burst.test"]
    subprocess.run(
        [tool("smtp-source"), *options, "-t", f"someone@{FAR}", f"127.0.0.1:{system.port}"],
        check=True,
        timeout=max(60, messages / SLOWEST),
    )


def _send_now_and_then(port: int, client: int, rate: float, ended: threading.Event, sent: list[int]) -> None:
    """Messages of the other senders in turn, `rate` a second, until the burst has `ended`."""
    number = client
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=60) as smtp:
        while not ended.wait(1 / rate):
            number += 1
            sender = f"other@other{number % SENDERS}.test"
            smtp.sendmail(sender, [f"someone@{FAR}"], a_message(f"someone@{FAR}", sender, size=4096))
            sent.append(number)


def _show(runs: dict[str, list[Run]], options: argparse.Namespace, console: Console) -> None:
    columns = ("", "others", "median", "p95", "longest", "all/s", "ms CPU to take in")
    table = Table(
        *columns, title=f"{options.burst} messages of one user, {options.others:g} a second of others; seconds"
    )
    for name, found in runs.items():
        middle = {
            field: statistics.median(getattr(run, field) for run in found)
            for field in ("others", "median", "p95", "longest", "rate", "taken_ms")
        }
        table.add_row(
            name,
            f"{middle['others']:.0f}",
            *(f"{middle[field]:.2f}" for field in ("median", "p95", "longest")),
            f"{middle['rate']:.0f}",
            f"{middle['taken_ms']:.2f}",
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
