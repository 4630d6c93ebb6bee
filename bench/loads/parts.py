"""Each kind of mail: which systems run with it, how it is handed in, and where it is counted."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bench.loads import backlog, others, submission
from bench.loads.race import Course, Series, run, started
from bench.loads.systems import (
    LOCAL_DOMAIN,
    MOST_RECIPIENTS,
    USERS,
    mailspools,
    postfix_relay,
    postfix_with_lmtp,
    postfix_with_maildirs,
)
from bench.systems import SINK_DOMAIN, MailspoolSystem, Racer, dns_of
from tests.support.postfix import tool
from tests.support.sink import CountingSink, SmtpSink

SENDER = "source@client.test"
SMALL_BYTES = 4096
# Messages of each size for every one that `--messages` says: runs of a second or two, so that none is all beginning.
SIZES = {100_000: 1.0, 1_000_000: 0.2, 10_000_000: 0.04}
# A run that is slower than this many bytes a second, or messages, has failed.
SLOWEST_BYTES, SLOWEST = 1_000_000, 5


def sizes(options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Series]:
    """Relaying messages of 100 KB, 1 MB and 10 MB."""
    with _relaying(options, folder, console) as (racers, sink):
        for size, share in SIZES.items():
            count = max(4, int(options.messages * share))
            series = Series("sizes", f"{size // 1000} KB" if size < 1_000_000 else f"{size // 1_000_000} MB")
            _warm(racers, sink, options.sessions, size)
            run(_relay(series, sink, count, options.sessions, size), racers, options.rounds, console)
            yield series


def recipients(options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Series]:
    """One message to 1,000 recipients of one domain, and one to 10,000."""
    sink = CountingSink(folder)
    arrived = _Recipients(sink)
    with _counting(sink), dns_of(SINK_DOMAIN) as dns:
        racers: list[Racer] = [
            *mailspools(options, folder, dns.address, sink.port),
            postfix_relay(sink.port),
        ]
        with started(racers, console):
            for racer in racers:
                if isinstance(racer, MailspoolSystem):
                    racer.mailspool.settings(max_recipients=MOST_RECIPIENTS)
            for count in (100, 1000, 10_000):
                series = Series("recipients", f"one message to {count:,}", "recipients")
                course = Course(series, count, _sender_to_many(count), lambda racer: arrived.so_far())
                if count == 100:
                    # Caches, connections and statements are warm in a server that has run for a while.
                    run(course, racers, 1, console)
                    continue
                run(course, racers, options.rounds, console)
                yield series


def local(options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Series]:
    """Into Maildirs on the machine: ten users, a session for each."""
    with dns_of(SINK_DOMAIN) as dns:
        ours = mailspools(options, folder, dns.address, 1)
        postfix = postfix_with_maildirs(folder / "mailboxes")
        with started([*ours, postfix], console):
            homes = {system.name: system.mailspool.home / "maildirs" / LOCAL_DOMAIN for system in ours}
            for system in ours:
                system.mailspool.add_domain(LOCAL_DOMAIN, *USERS)
            homes[postfix.name] = folder / "mailboxes"
            yield _to_users("local", options, [*ours, postfix], console, lambda racer: _files(homes[racer.name]))


def lmtp(options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Series]:
    """To a mail store by LMTP, which takes all and keeps nothing."""
    store = SmtpSink(folder, options=("-L",))
    with _counting(store), dns_of(SINK_DOMAIN) as dns:
        ours = mailspools(options, folder, dns.address, 1)
        racers: list[Racer] = [*ours, postfix_with_lmtp(store.port)]
        with started(racers, console):
            for system in ours:
                system.mailspool.add_domain(LOCAL_DOMAIN, *USERS)
                system.mailspool.settings(local_store="lmtp", lmtp_address=f"127.0.0.1:{store.port}")
            yield _to_users("lmtp", options, racers, console, lambda racer: store.count)


def submitting(options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Series]:
    """From users who log in, by TLS: a connection for each message, and one for twenty."""
    sink = SmtpSink(folder)
    with _counting(sink), dns_of(SINK_DOMAIN) as dns:
        ours = mailspools(options, folder, dns.address, sink.port)
        postfix = submission.PostfixSubmission(folder, sink.port)
        with started([*ours, postfix], console):
            for system in ours:
                system.mailspool.add_domain(LOCAL_DOMAIN, *USERS)
            ports = {system.name: system.mailspool.submission_port for system in ours}
            ports[postfix.name] = postfix.submission_port
            warm_up = Course(
                Series("", "warm-up"),
                len(USERS),
                lambda racer: submission.submit(ports[racer.name], 1, 1),
                lambda racer: sink.count,
            )
            run(warm_up, [*ours, postfix], 1, Console(quiet=True))
            for each in (1, 20):
                count = max(1, options.messages // (5 if each > 1 else 10) // len(USERS) // each) * len(USERS) * each
                series = Series("submission", f"login, TLS, {each} message(s) each")

                def send(racer: Racer, count: int = count, each: int = each) -> None:
                    submission.submit(ports[racer.name], count // len(USERS), each)

                course = Course(series, count, send, lambda racer: sink.count, 60 + count / SLOWEST)
                run(course, [*ours, postfix], options.rounds, console)
                yield series


def waiting(options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Series]:
    """Relaying while `--waiting` messages that are not due are in the spool."""
    with _relaying(options, folder, console) as (racers, sink):
        for number in (0, options.waiting):
            for racer in racers if number else ():
                console.print(f"{racer.name}: {number:,} messages that wait")
                backlog.fill(racer, number)
            series = Series("waiting", f"4 KB, {number:,} wait")
            _warm(racers, sink, options.sessions, SMALL_BYTES)
            run(_relay(series, sink, options.messages, options.sessions, SMALL_BYTES), racers, options.rounds, console)
            yield series


def peers(options: argparse.Namespace, folder: Path, console: Console) -> Iterator[Series]:
    """Relaying 4 KB beside Exim and OpenSMTPD as well."""
    with _relaying(options, folder, console, others.both) as (racers, sink):
        for sessions in (1, options.sessions):
            series = Series("peers", f"4 KB, {sessions} session(s)")
            _warm(racers, sink, sessions, SMALL_BYTES)
            run(_relay(series, sink, options.messages, sessions, SMALL_BYTES), racers, options.rounds, console)
            yield series


ALL: dict[str, Callable[[argparse.Namespace, Path, Console], Iterator[Series]]] = {
    "sizes": sizes,
    "local": local,
    "lmtp": lmtp,
    "recipients": recipients,
    "submission": submitting,
    "waiting": waiting,
    "peers": peers,
}


@contextmanager
def _relaying(
    options: argparse.Namespace,
    folder: Path,
    console: Console,
    more: Callable[[Path, int], Sequence[Racer]] = lambda folder, port: (),
) -> Iterator[tuple[list[Racer], SmtpSink]]:
    """Systems that relay all to one sink."""
    sink = SmtpSink(folder)
    with _counting(sink), dns_of(SINK_DOMAIN) as dns:
        racers: list[Racer] = [
            *mailspools(options, folder, dns.address, sink.port),
            postfix_relay(sink.port),
            *more(folder, sink.port),
        ]
        with started(racers, console):
            yield racers, sink


@contextmanager
def _counting(sink: SmtpSink | CountingSink) -> Iterator[None]:
    sink.start()
    try:
        yield
    finally:
        sink.stop()


def _relay(series: Series, sink: SmtpSink, count: int, sessions: int, size: int) -> Course:
    patience = 60 + count / SLOWEST + count * size / SLOWEST_BYTES
    to = f"someone@{SINK_DOMAIN}"
    return Course(
        series,
        count,
        lambda racer: _source(racer.port, to, count, sessions, size, patience),
        lambda racer: sink.count,
        patience,
    )


def _warm(racers: Sequence[Racer], sink: SmtpSink, sessions: int, size: int) -> None:
    """Caches, connections and statements are warm in a server that has run for a while."""
    quiet = Console(quiet=True)
    count = 200 if size <= SMALL_BYTES else 4
    run(_relay(Series("", "warm-up"), sink, count, sessions, size), racers, 1, quiet)


def _to_users(
    part: str,
    options: argparse.Namespace,
    racers: Sequence[Racer],
    console: Console,
    arrived: Callable[[Racer], int],
) -> Series:
    count = options.messages - options.messages % len(USERS)

    def send(racer: Racer) -> None:
        _each_user(racer.port, count // len(USERS))

    run(Course(Series("", "warm-up"), count, send, arrived), racers, 1, Console(quiet=True))
    series = Series(part, "4 KB to users here")
    run(Course(series, count, send, arrived, 60 + count / SLOWEST), racers, options.rounds, console)
    return series


def _each_user(port: int, messages: int) -> None:
    """To each user by a session of its own, all at once."""
    clients = [
        subprocess.Popen(_source_command(port, f"{user}@{LOCAL_DOMAIN}", messages, 1, SMALL_BYTES)) for user in USERS
    ]
    if any([client.wait() for client in clients]):
        raise RuntimeError("smtp-source failed")


def _sender_to_many(count: int) -> Callable[[Racer], None]:
    def send(racer: Racer) -> None:
        command = _source_command(racer.port, f"someone@{SINK_DOMAIN}", 1, 1, SMALL_BYTES, "-r", str(count))
        subprocess.run(command, check=True, timeout=600)

    return send


def _source(port: int, to: str, messages: int, sessions: int, size: int, patience: float) -> None:
    subprocess.run(_source_command(port, to, messages, sessions, size), check=True, timeout=patience)


def _source_command(port: int, to: str, messages: int, sessions: int, size: int, *more: str) -> list[str]:
    options = ["-s", str(sessions), "-m", str(messages), "-l", str(size), "-f", SENDER, "-t", to, *more]
    return [tool("smtp-source"), *options, f"127.0.0.1:{port}"]


def _files(folder: Path) -> int:
    """New messages in the Maildirs of all users."""
    return sum(1 for user in USERS for _ in (folder / user / "new").glob("*"))


class _Recipients:
    """How many recipients' mail a sink has taken, read on from where it was last read."""

    def __init__(self, sink: CountingSink) -> None:
        self._record, self._offset, self._count, self._cut = sink.record, 0, 0, b""

    def so_far(self) -> int:
        with self._record.open("rb") as record:
            record.seek(self._offset)
            found = record.read()
        self._offset += len(found)
        *lines, self._cut = (self._cut + found).split(b"\n")
        self._count += sum(len(line.rpartition(b"\t")[2].split()) for line in lines)
        return self._count
