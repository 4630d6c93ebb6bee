"""How fast the console's questions are answered on a full spool, and what bulk actions cost the mail that flows.

    python -m bench.console [--database sqlite|postgres|both] [--entries N] [--no-PART …]

Each database gets a spool of waiting mail: 1,000,000 entries with 3,000,000 recipients on PostgreSQL, 200,000 with
600,000 on SQLite. See bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.runs import SENDER
from bench.systems import SINK_DOMAIN
from tests.support import postfix
from tests.support.dns import DNSServer
from tests.support.mailspool_process import PROJECT, MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import SmtpSink

QUARANTINED = 200_000
ENTRIES = {"postgres": 1_000_000, "sqlite": 200_000}
DELIVERIES = {"postgres": 10_000_000, "sqlite": 1_000_000}
MOST_MS = {"postgres": 100.0, "sqlite": 200.0}
# Of every page, by role: what is red, and how many are shown besides.
ROLES = ("administrator", "help-desk", "domain", "user")
MOST_PAGE_MS, MOST_ALIKE, SHOWN_PAGES = 300, 8, 20
# How long mail flows alone before the bulk actions, in seconds: the rate that theirs is compared to.
ALONE_SECONDS = 20.0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description="Time the console on a full spool.")
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--entries", type=int, default=0, help="entries in the spool, at least 100,000")
    parser.add_argument("--no-queries", action="store_true", help="leave out lists, searches and counts")
    parser.add_argument("--no-pages", action="store_true", help="leave out whole pages")
    parser.add_argument("--no-overview", action="store_true", help="leave out the Overview and a day of counts")
    parser.add_argument(
        "--only-quarantines", action="store_true", help="time nothing but the pages of both quarantines"
    )
    parser.add_argument(
        "--no-every-page", action="store_true", help="leave out all other tables, and every page by role"
    )
    parser.add_argument("--no-bulk", action="store_true", help="leave out deleting and undoing while mail flows")
    parser.add_argument("--json", type=Path, default=Path("var/bench/console.json"), help="file of all figures")
    options = parser.parse_args(arguments)
    console = Console(width=140)
    figures: dict[str, Any] = {}
    for database in ["postgres", "sqlite"] if options.database == "both" else [options.database]:
        with tempfile.TemporaryDirectory(prefix="mailspool-bench-") as name:
            Path(name).chmod(0o755)
            figures[database] = _measure(database, Path(name), options, console)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=1) + "\n")
    console.print(f"All figures: {options.json}")
    return 0


def _measure(database: str, folder: Path, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    server = PostgresServer() if database == "postgres" else None
    if server is not None:
        server.start()
    with DNSServer() as dns:
        dns.add(SINK_DOMAIN, "MX", f"10 mx.{SINK_DOMAIN}.")
        dns.add(f"mx.{SINK_DOMAIN}", "A", "127.0.0.1")
        mailspool = MailspoolUnderTest(
            folder, database_url=server.create_database("mailspool") if server else "", dns=dns.address
        )
        try:
            mailspool.prepare()
            entries = options.entries or ENTRIES[database]
            figures: dict[str, Any] = {"entries": 0 if options.only_quarantines else entries}
            started = time.monotonic()
            if not options.only_quarantines:
                console.print(f"{database}: filling a spool with {entries:,} entries")
                _child(mailspool, "bench.spool_of", str(entries))
            _child(mailspool, "bench.quarantine_of", str(QUARANTINED))
            figures["fill_seconds"] = round(time.monotonic() - started, 1)
            figures["quarantines"] = json.loads(_child(mailspool, "bench.console_pages", "quarantines"))
            _show(figures["quarantines"], f"{database}: both quarantines, {QUARANTINED:,} messages", console)
            if options.only_quarantines:
                return figures
            if not options.no_queries:
                figures["queries"] = json.loads(_child(mailspool, "bench.console_queries"))
                _show(figures["queries"], database, console)
            if not options.no_pages:
                figures["pages"] = json.loads(_child(mailspool, "bench.console_pages"))
                _show(figures["pages"], f"{database}: pages", console)
            if not (options.no_overview and options.no_every_page):
                deliveries = DELIVERIES[database]
                console.print(f"{database}: counting {deliveries:,} deliveries in 24 hours")
                _child(mailspool, "bench.traffic_of", str(deliveries))
                figures["deliveries"] = deliveries
            if not options.no_overview:
                figures["overview"] = json.loads(_child(mailspool, "bench.console_pages", "overview"))
                _show(figures["overview"], f"{database}: Overview", console)
            if not options.no_every_page:
                console.print(f"{database}: filling all other tables")
                _child(mailspool, "bench.tables_of")
                figures["every page"] = {}
                for role in ROLES:
                    found = json.loads(_child(mailspool, "bench.every_page", role))
                    figures["every page"][role] = found
                    _show_pages(found, f"{database}: pages of {role}", console)
            if not options.no_bulk:
                figures["bulk"] = _bulk(mailspool, folder, console)
            return figures
        finally:
            mailspool.kill()
            if server is not None:
                server.remove()


def _child(mailspool: MailspoolUnderTest, module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=PROJECT, env=mailspool.env, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _show(queries: dict[str, Any], title: str, console: Console) -> None:
    table = Table("question", "median ms", "p95 ms", "longest ms", "queries", title=title, box=None)
    for name, figures in queries.items():
        slow = figures["p95_ms"] > MOST_MS[title.partition(":")[0]]
        table.add_row(name, *(str(value) for value in figures.values()), style="bold red" if slow else "")
    console.print(table)


def _show_pages(pages: dict[str, Any], title: str, console: Console) -> None:
    """The slowest, and those that ask the database the same again and again."""
    table = Table("page", "CPU ms", "wall ms", "queries", "alike", "bytes", "status", title=title, box=None)
    slowest = sorted(pages, key=lambda name: -pages[name]["cpu_ms"])
    for place, name in enumerate(slowest):
        found = pages[name]
        if place < SHOWN_PAGES or found["cpu_ms"] > MOST_PAGE_MS or found["alike"] > MOST_ALIKE:
            slow = found["cpu_ms"] > MOST_PAGE_MS or found["alike"] > MOST_ALIKE
            table.add_row(name, *(str(value) for value in found.values()), style="bold red" if slow else "")
    console.print(table)


class _Flow:
    """Mail that flows from smtp-source to smtp-sink as fast as it can, in the background."""

    def __init__(self, mailspool: MailspoolUnderTest, sink: SmtpSink) -> None:
        self._mailspool, self._sink = mailspool, sink
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Flow:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        command = [
            postfix.tool("smtp-source"),
            "-s",
            "10",
            "-m",
            "500",
            "-l",
            "4096",
            "-f",
            SENDER,
            "-t",
            f"someone@{SINK_DOMAIN}",
            f"127.0.0.1:{self._mailspool.smtp_port}",
        ]
        while not self._stop.is_set():
            subprocess.run(command, check=False, timeout=120)

    def during(self, work: Any) -> tuple[float, float, Any]:
        """(seconds that `work` took, messages relayed a second meanwhile, what it returned)."""
        before, started = self._sink.count, time.monotonic()
        result = work()
        seconds = time.monotonic() - started
        return seconds, (self._sink.count - before) / seconds, result


_DELETE = """
from spool.actions import perform
from spool.actions.actor import Actor
from spool.filters import SpoolFilter
outcome = perform("delete", SpoolFilter(sender_domain="bulk.test"), Actor.system(), background=True)
print(outcome.event.id)
"""
_UNDO = """
from spool.actions import undo
from spool.actions.actor import Actor
undo(Actor.system(), event_id={event}, background=True)
"""


def _bulk(mailspool: MailspoolUnderTest, folder: Path, console: Console) -> dict[str, float]:
    """Delete and undo of 100,000 messages by filter, in the background, while mail flows."""
    sink = SmtpSink(folder)
    sink.start()
    mailspool.settings(bypass_networks="127.0.0.0/8", smtp_out_port=sink.port, max_connections_per_ip=1000)
    mailspool.start()
    try:
        with _Flow(mailspool, sink) as flow:
            time.sleep(5)
            _, alone, _ = flow.during(lambda: time.sleep(ALONE_SECONDS))
            event = mailspool.run(_DELETE).strip()
            deleting, during_delete, _ = flow.during(lambda: _until_done(mailspool, "delete"))
            mailspool.run(_UNDO.format(event=event))
            undoing, during_undo, _ = flow.during(lambda: _until_done(mailspool, "undo"))
            _, after, _ = flow.during(lambda: time.sleep(ALONE_SECONDS))
    finally:
        mailspool.stop()
        sink.stop()
    both = deleting + undoing
    usual = (alone + after) / 2
    share = (during_delete * deleting + during_undo * undoing) / both / usual
    figures = {
        "delete_seconds": deleting,
        "undo_seconds": undoing,
        "alone_per_second": usual,
        "during_delete_per_second": during_delete,
        "during_undo_per_second": during_undo,
        "share": share,
    }
    console.print(
        f"delete 100,000: {deleting:.1f} s, undo: {undoing:.1f} s; mail {usual:.0f}/s alone, {during_delete:.0f}/s and"
        f" {during_undo:.0f}/s meanwhile: {share:.0%}"
    )
    return {name: round(value, 2) for name, value in figures.items()}


def _until_done(mailspool: MailspoolUnderTest, action: str) -> None:
    query = f"SELECT COUNT(*) FROM spool_bulkjob WHERE action = '{action}' AND state = 'done' AND done = 100000"
    while not mailspool.rows(query)[0][0]:
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
