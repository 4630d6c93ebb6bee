"""A real PostgreSQL server in a temporary folder, on a unix socket.

`python -m tests.support.postgres -- CMD…` runs CMD with DATABASE_URL naming a new server, stops the server, and ends
with CMD's exit status. With `--fast` before the `--` the server doesn't sync: good for unit tests, useless for crashes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.daemon import Daemon

USER = "postgres"
# Only names the socket file: the server doesn't listen on TCP.
_PORT = 5432


class PostgresServer:
    """One cluster. `durable` leaves fsync on, as in production; unit tests are faster without."""

    def __init__(self, *, durable: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailspool-pg-"))
        self._as_user = _privileges(self.folder)
        self._data = self.folder / "data"
        settings = ["listen_addresses=", f"unix_socket_directories={self.folder}", "max_connections=200"]
        if not durable:
            settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        options = [word for setting in settings for word in ("-c", setting)]
        self.daemon = Daemon(
            "postgres",
            [*self._as_user, _binary("postgres"), "-D", self._data, "-p", str(_PORT), *options],
            self.folder / "postgres.log",
            cwd=self.folder,
            stop_signal=signal.SIGINT,
        )

    def start(self) -> None:
        """Make the cluster if there is none, and wait until it answers."""
        if not self._data.exists():
            subprocess.run(
                [
                    *self._as_user,
                    _binary("initdb"),
                    "-D",
                    self._data,
                    "-U",
                    USER,
                    "-A",
                    "trust",
                    "-E",
                    "UTF8",
                    "--locale=C.UTF-8",
                    "--no-sync",
                ],
                check=True,
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
            )
        self.daemon.start(self._answers, seconds=60)

    def follow(self, primary: PostgresServer) -> None:
        """Begin as a standby of a server that runs, which from then on waits for it with every commit."""
        source = ["-h", primary.folder, "-p", str(_PORT), "-U", USER]
        copy = [_binary("pg_basebackup"), *source, "-D", self._data, "-R", "-X", "stream", "-c", "fast", "--no-sync"]
        subprocess.run([*self._as_user, *copy], check=True, cwd=self.folder)
        self.start()
        primary.command("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.command("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Take writes from now on."""
        self.command("SELECT pg_promote()")

    def command(self, statement: str) -> None:
        """Run one statement as the superuser."""
        with psycopg.connect(self.url().replace("postgres://", "postgresql://", 1), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, and a checkpoint is written."""
        self.daemon.stop(30)

    def kill(self) -> None:
        """What a power cut does to the processes: postmaster and backends at once, nothing flushed.

        Each backend leads a session of its own, and a new postmaster refuses to start while an old backend lives.
        """
        backends = self._backends()
        self.daemon.kill()
        for pid in backends:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to postmaster and backends: SIGSTOP makes a server that takes connections and hangs."""
        for pid in [self.daemon.pid, *self._backends()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _backends(self) -> list[int]:
        """The children of the postmaster."""
        task = Path("/proc") / str(self.daemon.pid) / "task" / str(self.daemon.pid) / "children"
        try:
            return [int(word) for word in task.read_text().split()]
        except OSError:
            return []

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """A DATABASE_URL. The socket's folder is an option: a URL has no place for a path as its host."""
        return f"postgres://{USER}@/{database}?host={self.folder}&port={_PORT}"

    def create_database(self, name: str, template: str = "template1", tablespace: str = "pg_default") -> str:
        """Make a database like `template` (empty without one); returns its DATABASE_URL."""
        with self._connect() as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} TABLESPACE {}")
            connection.execute(
                statement.format(sql.Identifier(name), sql.Identifier(template), sql.Identifier(tablespace))
            )
        return self.url(name)

    def create_tablespace(self, name: str, folder: Path) -> None:
        """Let databases be kept in `folder`, whose parents anyone may pass."""
        if os.geteuid() == 0:
            account = pwd.getpwnam(USER)
            os.chown(folder, account.pw_uid, account.pw_gid)
        with self._connect() as connection:
            statement = sql.SQL("CREATE TABLESPACE {} LOCATION {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Literal(str(folder))))

    def drop_database(self, name: str) -> None:
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.folder), port=_PORT, user=USER, dbname="postgres", autocommit=True, connect_timeout=5
        )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True


def is_installed() -> bool:
    """Whether Debian's server is there."""
    return _newest_bin() is not None


def _newest_bin() -> Path | None:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"),
        key=lambda path: int(re.sub(r"\D", "", path.parts[-3]) or 0),
    )
    return found[-1].parent if found else None


def _binary(name: str) -> str:
    folder = _newest_bin()
    if folder is not None:
        return str(folder / name)
    on_path = shutil.which(name)
    if on_path is None:
        raise FileNotFoundError(f"{name} is not installed: apt-get install postgresql")
    return on_path


def _privileges(folder: Path) -> list[str]:
    """How to start the server: it refuses to run as root."""
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam(USER)
    os.chown(folder, account.pw_uid, account.pw_gid)
    # Becoming another user clears the signal that comes with the parent's death (prctl(2)).
    return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--pdeathsig", "QUIT"]


def main(arguments: Sequence[str]) -> int:
    options, command = list(arguments[:1]), list(arguments[1:])
    fast = options == ["--fast"]
    if fast:
        options, command = command[:1], command[1:]
    if options != ["--"] or not command:
        print("usage: python -m tests.support.postgres [--fast] -- COMMAND [ARGUMENT…]", file=sys.stderr)
        return 2
    server = PostgresServer(durable=not fast)
    # Ctrl-C goes to the whole group; the command ends by it, and then the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        server.start()
        url = server.create_database("mailspool")
        with subprocess.Popen(command, env={**os.environ, "DATABASE_URL": url}) as process:
            try:
                status = process.wait()
            except BaseException:
                process.terminate()
                raise
        return 128 - status if status < 0 else status
    finally:
        server.remove()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
