"""What the database keeps of messages that have gone: its tables of content while many go through.

    python -m bench.soak [--messages N] [--variants sqlite,postgres,database]

bench/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from bench import frame
from bench.destinations import figures
from bench.destinations.figures import Figure
from bench.systems import SINK_DOMAIN, MailspoolSystem, dns_of
from tests.support.postfix import tool
from tests.support.sink import SmtpSink
from tests.support.waiting import wait_until

# Rows are of small messages; with MAILSPOOL_STORE=database large ones are in parts, too.
VARIANTS = {"sqlite": ("sqlite", ""), "postgres": ("postgres", ""), "database": ("postgres", "database")}
SMALL_BYTES, LARGE_BYTES = 4096, 300_000
# Of the messages where large ones are in the database.
LARGE_SHARE = 0.02
BAR = 2.0
SAMPLE_SECONDS = 2.0
SLOWEST = 10

# Pages of the tables, with what they have of long values and their indexes.
_POSTGRES = "SELECT pg_total_relation_size('spool_content') + pg_total_relation_size('spool_contentpart')"
_SQLITE = (
    "SELECT COALESCE(SUM(pgsize), 0) FROM dbstat WHERE aggregate AND"
    " name IN (SELECT name FROM sqlite_schema WHERE tbl_name IN ('spool_content', 'spool_contentpart'))"
)
_LIVE = "SELECT (SELECT COALESCE(SUM(LENGTH(content)), 0) FROM spool_content) + {parts}"
_PARTS = "(SELECT COALESCE(SUM(LENGTH(content)), 0) FROM spool_contentpart)"


class Watch:
    """Looks at the tables every few seconds until it is ended."""

    def __init__(self, system: MailspoolSystem) -> None:
        self.largest_live = self.largest_table = self.last_table = 0
        self._system = system
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_again)
        self._thread.start()

    def look(self) -> None:
        rows = self._system.mailspool.rows
        table = int(rows(_POSTGRES if self._system.mailspool.database_url else _SQLITE)[0][0])
        live = int(rows(_LIVE.format(parts=_PARTS))[0][0])
        self.last_table = table
        self.largest_table, self.largest_live = max(self.largest_table, table), max(self.largest_live, live)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look_again(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.look()


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    if not frame.can_run(on_postgresql=True):
        return 1
    frame.end_with_all()
    console = Console(width=120)
    found: list[Figure] = []
    for variant in options.variants:
        with frame.place(options.folder) as place:
            found += _soak(variant, options, place, console)
    figures.show(found, f"{options.messages:,} messages, tables of content", console)
    frame.write([asdict(figure) for figure in found], options.json)
    return int(any(figure.passes is False for figure in found))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="What is kept of what has gone.")
    parser.add_argument("--messages", type=int, default=20_000, help="in all (20,000)")
    parser.add_argument("--backlog", type=float, default=0.05, help="the part of them that waits at once (0.05)")
    parser.add_argument("--variants", type=lambda text: text.split(","), default=list(VARIANTS))
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--folder", default=None, help="where spools and databases are made (default: $TMPDIR)")
    parser.add_argument("--json", type=Path, default=Path("var/bench/soak.json"), help="file of all figures")
    options = parser.parse_args(arguments)
    if unknown := set(options.variants) - set(VARIANTS):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(VARIANTS)}")
    return options


def _soak(variant: str, options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Figure]:
    database, store = VARIANTS[variant]
    sink, dns = SmtpSink(folder), dns_of(SINK_DOMAIN)
    system = MailspoolSystem(
        folder, database, dns=dns.address, sink_port=sink.port, workers=1, profile=False, store=store
    )
    watch = None
    try:
        dns.start()
        sink.start()
        system.start()
        watch = Watch(system)
        waiting, began, sent = int(options.messages * options.backlog), time.monotonic(), 0
        while sent < options.messages:
            # A backlog at a time: all of it waits, then it goes while the next comes.
            system.intake_only()
            sent += _send(system.port, min(waiting, options.messages - sent), options.sessions, large=bool(store))
            watch.look()
            system.mailspool.workers[0].start()
            flowing = min(waiting, options.messages - sent)
            sent += _send(system.port, flowing, options.sessions, large=bool(store)) if flowing else 0
            count = sent
            wait_until(lambda: sink.count >= count, f"{count} have gone", 60 + count / SLOWEST, every=0.2)  # noqa: B023
            console.print(
                f"{variant:10} {sent:8,} of {options.messages:,}: live at most {_mb(watch.largest_live)} MB, tables"
                f" now {_mb(watch.last_table)} MB, at most {_mb(watch.largest_table)} MB"
            )
        system.mailspool.wait_until_empty(120)
        watch.end()
        watch.look()
        yield figures.figure(variant, "messages/s, waiting at times", sent / (time.monotonic() - began))
        yield figures.figure(variant, "largest live size", watch.largest_live / 1e6, "MB", 1)
        yield figures.at_most(
            variant, "largest size of the tables", watch.largest_table / 1e6, BAR * watch.largest_live / 1e6, "MB", 1
        )
        yield figures.figure(variant, "size of the tables at the end", watch.last_table / 1e6, "MB", 1)
    finally:
        if watch is not None:
            watch.end()
        system.stop()
        dns.stop()
        sink.stop()


def _send(port: int, messages: int, sessions: int, *, large: bool) -> int:
    """Hand in so many, some of them large; returns how many."""
    of_size = {LARGE_BYTES: int(messages * LARGE_SHARE) if large else 0}
    of_size[SMALL_BYTES] = messages - of_size[LARGE_BYTES]
    for size, count in of_size.items():
        if count:
            options = ["-s", str(sessions), "-m", str(count), "-l", str(size), "-f", "a@client.test"]
            command = [tool("smtp-source"), *options, "-t", f"someone@{SINK_DOMAIN}", f"127.0.0.1:{port}"]
            subprocess.run(command, check=True, timeout=60 + messages / SLOWEST)
    return messages


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
