"""What limits by the hour cost: the same mail of logged-in users, with no limit and with limits on every one of them.

    python -m bench.throttling [--database sqlite|postgres] [--limits users|both] [--messages N] [--rounds N]
                               [--users N] [--sessions N]

The kinds of run take turns on one installation. Limits are on messages, bandwidth and recipients of every user, or also
of the domain, too high to be reached: what is measured is counting, not waiting. Clients keep their TLS sessions and
pipeline, and are part of the load, in every kind alike.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import accounting
from tests.spool.smtpd.dialogue import b64
from tests.support.dns import DNSServer
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.sink import SmtpSink
from tests.support.waiting import wait_until

HERE, FAR = "here.test", "sink.test"
NONE, DELAY, REJECT = "no limits", "delay", "reject"
_KEPT_SECONDS = 1.5


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.throttling", description="Measure what limits cost.")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--limits", choices=("users", "both"), default="both", help="whose (default both)")
    parser.add_argument("--messages", type=int, default=2000, help="in each run (default 2000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=10, help="at once, each logged in as one user")
    options = parser.parse_args(arguments)
    server = PostgresServer() if options.database == "postgres" else None
    with tempfile.TemporaryDirectory(prefix="mailspool-bench-") as name:
        folder = Path(name)
        # smtp-sink runs as a user of its own.
        folder.chmod(0o755)
        try:
            if server is not None:
                server.start()
            _measure(options, folder, server.create_database("mailspool") if server is not None else "")
        finally:
            if server is not None:
                server.remove()
    return 0


def _measure(options: argparse.Namespace, folder: Path, url: str) -> None:
    sink, dns, console = SmtpSink(folder), DNSServer(), Console(width=110)
    sink.start()
    dns.start()
    dns.add(FAR, "MX", f"10 mx.{FAR}.")
    dns.add(f"mx.{FAR}", "A", "127.0.0.1")
    mailspool = MailspoolUnderTest(folder, database_url=url, dns=dns.address, from_nothing=True)
    rates: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    try:
        with mailspool:
            mailspool.settings(smtp_out_port=sink.port)
            mailspool.add_domain(HERE, *(f"u{n}" for n in range(options.users)))
            _run(mailspool, sink, options, 300)
            for number in range(options.rounds):
                kinds = [NONE, DELAY, REJECT]
                for kind in kinds[number % 3 :] + kinds[: number % 3]:
                    _set_limits(mailspool, kind, options.limits)
                    rate, cost = _run(mailspool, sink, options, options.messages)
                    rates.setdefault(kind, []).append(rate)
                    costs.setdefault(kind, []).append(cost)
                    console.print(f"{kind:10} relayed {rate:6.0f}/s, {cost:5.2f} ms CPU a message")
    finally:
        dns.stop()
        sink.stop()
    table = Table(
        "limits",
        "relayed/s (median)",
        "ratio by round",
        "ms CPU a message",
        title=f"{options.database}, limits of {options.limits}",
    )
    for kind, found in rates.items():
        ratios = [rate / base for rate, base in zip(found, rates[NONE], strict=True)]
        table.add_row(
            kind,
            f"{statistics.median(found):.0f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            f"{statistics.median(costs[kind]):.2f}",
        )
    console.print(table)


def _set_limits(mailspool: MailspoolUnderTest, kind: str, whose: str) -> None:
    amount = 0 if kind == NONE else 1_000_000
    action = REJECT if kind == REJECT else DELAY
    models = "User" if whose == "users" else "User, Domain"
    mailspool.run(
        "from accounts import directory\nfrom accounts.models import Domain, User\nfrom django.db import transaction\n"
        f"limits = dict(messages_per_hour={amount}, bandwidth_mb_per_hour={amount}, recipients_per_hour={amount},"
        f" messages_action={action!r}, bandwidth_action={action!r}, recipients_action={action!r})\n"
        "with transaction.atomic():\n"
        "    directory.changed()\n"
        f"    for model in ({models},): model.objects.update(**limits)"
    )
    time.sleep(_KEPT_SECONDS)


def _run(
    mailspool: MailspoolUnderTest, sink: SmtpSink, options: argparse.Namespace, messages: int
) -> tuple[float, float]:
    """Messages relayed a second, and milliseconds of CPU for each."""
    pids = [daemon.pid for daemon in [*mailspool.listeners, *mailspool.workers]] + [mailspool.redis.daemon.pid]
    each = messages // options.sessions
    goal = sink.count + each * options.sessions
    clients = [_Client(mailspool.smtps_port, f"u{n % options.users}@{HERE}") for n in range(options.sessions)]
    before, started = accounting.cpu_seconds(pids), time.monotonic()
    with ThreadPoolExecutor(options.sessions) as threads:
        for done in [threads.submit(client.send, each) for client in clients]:
            done.result()
    wait_until(lambda: sink.count >= goal, "all is relayed", 120, every=0.002)
    seconds = time.monotonic() - started
    time.sleep(0.5)
    total = each * options.sessions
    return total / seconds, (accounting.cpu_seconds(pids) - before) / total * 1000


class _Client:
    """A session that is logged in and sends one message after the other, each in two writes."""

    def __init__(self, port: int, user: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 60))
        self._file = self._socket.makefile("rb")
        self._user = user
        self._replies(1)
        self._socket.sendall(b"EHLO client.test\r\n")
        self._replies(1)
        self._socket.sendall(f"AUTH PLAIN {b64(f'{chr(0)}{user}{chr(0)}{PASSWORD}')}\r\n".encode())
        self._replies(1)
        self._begin = f"MAIL FROM:<{user}>\r\nRCPT TO:<someone@{FAR}>\r\nDATA\r\n".encode()
        self._message = a_message(f"someone@{FAR}", user, size=4096) + b".\r\n"

    def send(self, count: int) -> None:
        for _ in range(count):
            self._socket.sendall(self._begin)
            self._replies(3)
            self._socket.sendall(self._message)
            self._replies(1)
        self._socket.close()

    def _replies(self, count: int) -> None:
        while count:
            line = self._file.readline()
            if line[:1] not in (b"2", b"3"):
                raise RuntimeError(f"{self._user}: {line!r}")
            count -= line[3:4] == b" "


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
