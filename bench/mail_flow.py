"""How fast mail flows: Mailspool against Debian's Postfix, between the same smtp-source and smtp-sink.

    python -m bench.mail_flow [--quick] [--database sqlite|postgres|both] [--sessions 1,10,50] [--messages N] …

The systems take turns within one run, each with its durability on, on one file system, over loopback only. See
bench/README.md for what the figures mean.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import accounting, frame, report, runs
from bench.systems import LATENCY_DOMAIN, SINK_DOMAIN, MailspoolSystem, PostfixSystem, System, dns_of
from tests.support import postfix, postgres
from tests.support.daemon import Daemon
from tests.support.ports import free_port, is_listening
from tests.support.sink import CountingSink, SmtpSink

LATENCY_RATE = 50.0


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    console = Console(width=140)
    if not postfix.can_run():
        print("bench: needs root, and Debian's Postfix: apt-get install postfix", file=sys.stderr)
        return 1
    if options.database != "sqlite" and not postgres.is_installed():
        print("bench: needs Debian's PostgreSQL: apt-get install postgresql; or --database sqlite", file=sys.stderr)
        return 1
    results = report.Results()
    # Queues, spools and databases of both systems share one file system.
    with frame.place(options.folder) as folder:
        _measure(options, folder, results, console)
        if options.profile:
            report.show_profiles(folder, console)
    report.show(results, console)
    frame.write(results.as_json(vars(options)), options.json)
    console.print(f"\nAll figures: {options.json}")
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.mail_flow", description="Race Mailspool and Postfix: taking in, relaying, latency, cost."
    )
    parser.add_argument("--quick", action="store_true", help="about a minute: fewer rounds, messages and sessions")
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--sessions", type=_numbers, help="parallel sessions, comma-separated (default 1,10,50)")
    parser.add_argument("--messages", type=int, help="messages in each run (default 3000)")
    parser.add_argument("--rounds", type=int, help="runs of each system and number of sessions (default 5)")
    parser.add_argument("--size", type=int, default=4096, help="bytes of body (default 4096)")
    parser.add_argument("--workers", type=int, default=1, help="Mailspool's mail workers (default 1)")
    parser.add_argument("--latency-seconds", type=float, help="how long to send 50/s for latency (default 30; 0: not)")
    parser.add_argument("--no-intake", action="store_true", help="leave out the runs that only take in")
    parser.add_argument(
        "--engine-ms",
        type=int,
        default=0,
        help="run each Mailspool with engines that take so many milliseconds, too",
    )
    parser.add_argument("--uncounted", action="store_true", help="measure what counting the traffic costs, too")
    parser.add_argument("--unlogged", action="store_true", help="measure what the mail log costs, too")
    parser.add_argument(
        "--inline",
        type=_numbers,
        default=[],
        help="run each Mailspool with MAILSPOOL_INLINE_KB at each of these, comma-separated (0: a file for each)",
    )
    parser.add_argument(
        "--store",
        type=lambda text: text.split(","),
        default=[],
        metavar="files,database",
        help="run each Mailspool on PostgreSQL with MAILSPOOL_STORE at each of these",
    )
    parser.add_argument("--no-postfix", action="store_true", help="measure Mailspool alone")
    parser.add_argument("--silent-postfix", action="store_true", help="let Postfix write no mail log")
    parser.add_argument("--profile", action="store_true", help="profile listener and worker; spoils the figures")
    parser.add_argument("--folder", default=None, help="where spools and databases are made (default: $TMPDIR)")
    parser.add_argument("--json", type=Path, default=Path("var/bench/mail_flow.json"), help="file of all figures")
    options = parser.parse_args(arguments)
    full = ([1, 10, 50], 3000, 5, 30.0)
    quick = ([10], 1000, 2, 5.0)
    names = ("sessions", "messages", "rounds", "latency_seconds")
    for name, value in zip(names, quick if options.quick else full, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _measure(options: argparse.Namespace, folder: Path, results: report.Results, console: Console) -> None:
    sink, counting = SmtpSink(folder), CountingSink(folder)
    dns = dns_of(SINK_DOMAIN, LATENCY_DOMAIN)
    started: list[System] = []
    engines = (free_port(), free_port()) if options.engine_ms else None
    scanners = _scanners(engines, options.engine_ms, folder) if engines else None
    try:
        if scanners is not None:
            scanners.start(lambda: is_listening(engines[1]))
        sink.start()
        counting.start()
        dns.start()
        for system in _systems(options, folder, dns.address, sink.port, counting.port, engines):
            console.print(f"starting {system.name}")
            started.append(system)
            system.start()
        for system in started:
            # Caches, connections and statements are warm in a server that has run for a while.
            runs.relay(system, sink, 300, 10, options.size)
        for sessions in options.sessions:
            for number in range(options.rounds):
                for system in _turns(started, number):
                    _one_round(system, sink, sessions, options, results, console)
        for system in started:
            results.memory[system.name] = {part: accounting.memory(pids) for part, pids in system.parts().items()}
        for system in started if options.latency_seconds else ():
            system.deliver_latency_to(counting.port)
            results.latency[system.name] = runs.latency(
                system, counting, LATENCY_RATE, options.latency_seconds, options.size
            )
    finally:
        for system in started:
            system.stop()
        if scanners is not None:
            scanners.stop()
        dns.stop()
        counting.stop()
        sink.stop()


def _systems(
    options: argparse.Namespace,
    folder: Path,
    dns: str,
    sink_port: int,
    latency_port: int,
    engines: tuple[int, int] | None,
) -> list[System]:
    databases = ["sqlite", "postgres"] if options.database == "both" else [options.database]
    systems: list[System] = [
        MailspoolSystem(
            folder,
            database,
            dns=dns,
            sink_port=sink_port,
            workers=options.workers,
            profile=options.profile,
            engines=scanned,
            counted=counted,
            logged=logged,
            inline_kb=inline_kb,
            store=store,
        )
        for database in databases
        for scanned in ((None, engines) if engines else (None,))
        for inline_kb in options.inline or (None,)
        for store in (options.store if database == "postgres" and options.store else ("",))
        for counted, logged in ((True, True), (False, True), (True, False))
        if (counted or options.uncounted) and (logged or options.unlogged)
    ]
    if not options.no_postfix:
        systems.append(PostfixSystem(sink_port, latency_port, logs=not options.silent_postfix))
    return systems


def _scanners(engines: tuple[int, int], milliseconds: int, folder: Path) -> Daemon:
    command = [sys.executable, "-m", "bench.engines", *map(str, engines), str(milliseconds)]
    return Daemon("engines", command, folder / "engines.log")


def _turns(systems: list[System], number: int) -> list[System]:
    """The systems, each round beginning with another, so that none always runs after the same one."""
    start = number % len(systems)
    return systems[start:] + systems[:start]


def _one_round(
    system: System,
    sink: SmtpSink,
    sessions: int,
    options: argparse.Namespace,
    results: report.Results,
    console: Console,
) -> None:
    taken = ""
    if not options.no_intake:
        rate = runs.take_in(system, options.messages, sessions, options.size)
        results.taken.setdefault(system.name, {}).setdefault(sessions, []).append(rate)
        taken = f" took in {rate:6.0f}/s,"
        _settle(sink)
    run = runs.relay(system, sink, options.messages, sessions, options.size)
    results.relayed.setdefault(system.name, {}).setdefault(sessions, []).append(run.relayed_per_second)
    results.cpu.setdefault(system.name, {}).setdefault(sessions, []).append(run.cpu_ms_per_message)
    console.print(
        f"{system.name:18} {sessions:3} sessions:{taken} relayed {run.relayed_per_second:6.0f}/s,"
        f" {sum(run.cpu_ms_per_message.values()):5.2f} ms CPU a message"
    )


def _settle(sink: SmtpSink) -> None:
    """Return when nothing has reached the sink for half a second."""
    count = -1
    while count != sink.count:
        count = sink.count
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
