"""A whole Mailspool in a temporary home: every part a real process that a test can kill, stop and start again."""

from __future__ import annotations

import os
import signal
import smtplib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from mailspool.home import Home
from tests.support import tables
from tests.support.daemon import Daemon
from tests.support.forks import Forks
from tests.support.ports import free_port, is_listening
from tests.support.redis import RedisServer, WatchedRedis
from tests.support.waiting import wait_until

PROJECT = Path(__file__).resolve().parents[2]
HOSTNAME = "mail.test"
PASSWORD = "correct-horse-battery-staple"
# A process reads its settings at most once a second.
SETTINGS_ARE_KEPT_SECONDS = 1.1


class MailspoolUnderTest:
    """One installation in `folder`. Use it as a context manager: leaving it kills all that it started.

    `database_url` is empty for SQLite in the home. `dns` is the host:port of the resolver. With `from_nothing` each
    process loads the program itself, as in production, for those who measure that. `beside` is another machine's,
    whose database and Redis, which it starts and ends, are this one's too.
    `redis` is one in the place of the home's own; whoever gives it starts and ends it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str = "",
        dns: str = "",
        workers: int = 1,
        listeners: int = 1,
        web: bool = False,
        env: dict[str, str] | None = None,
        from_nothing: bool = False,
        beside: MailspoolUnderTest | None = None,
        redis: RedisServer | WatchedRedis | None = None,
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.logs = folder / "logs"
        self.database_url = database_url
        self.smtp_port, self.submission_port, self.smtps_port, self.web_port = (free_port() for _ in range(4))
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MAILSPOOL_")},
            "DJANGO_SETTINGS_MODULE": "mailspool.settings" if from_nothing else "tests.support.settings",
            "MAILSPOOL_HOME": str(self.home),
            "MAILSPOOL_BIND": "127.0.0.1",
            "MAILSPOOL_HOSTNAME": HOSTNAME,
            "MAILSPOOL_SMTP_PORT": str(self.smtp_port),
            "MAILSPOOL_SUBMISSION_PORT": str(self.submission_port),
            "MAILSPOOL_SMTPS_PORT": str(self.smtps_port),
            "MAILSPOOL_WEB_PORT": str(self.web_port),
            "MAILSPOOL_WORKERS": str(workers),
            "MAILSPOOL_SMTPD_PROCESSES": str(listeners),
            "MAILSPOOL_DNS": dns,
            "PYTHONUNBUFFERED": "1",
            **(env or {}),
        }
        self.env.pop("REDIS_URL", None)
        self.env.pop("DATABASE_URL", None)
        if beside is not None:
            database_url = self.database_url = beside.database_url
            redis = beside.redis
        if redis is not None:
            self.env["REDIS_URL"] = redis.url
        if database_url:
            self.env["DATABASE_URL"] = database_url
        self.forks = Forks(self.env, self.logs / "forks.log")
        self._from_nothing = from_nothing
        self._has_redis = redis is None
        self.redis = redis or RedisServer(self.home / "redis", _socket_of(self.home))
        self.listeners = [self.process(f"smtpd-{n}", "smtpd", "--skip-checks") for n in range(1, listeners + 1)]
        # As processes.py starts them.
        worker = ("--worker-class", "spool.worker.PassWorker", "--skip-checks")
        self.workers = [self.process(f"worker-{n}", "rqworker", "mail", *worker) for n in range(1, workers + 1)]
        self.maintenance = self.process("maintenance", "rqworker", "maintenance", *worker)
        self.scheduler = self.process("scheduler", "scheduler", "--skip-checks")
        self.web: Daemon | None = None
        if web:
            self.web = Daemon(
                "web",
                [sys.executable, "-m", "gunicorn", "mailspool.wsgi", "-b", f"127.0.0.1:{self.web_port}"],
                self.logs / "web.log",
                env=self.env,
                cwd=PROJECT,
            )

    def __enter__(self) -> MailspoolUnderTest:
        self.prepare()
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    def process(self, name: str, *arguments: str, wrap: Sequence[str] = ()) -> Daemon:
        """A `manage.py` command as a process that is not started yet; `wrap` goes before it, as strace does."""
        command = [*wrap, sys.executable, "manage.py", *arguments]
        forks = None if self._from_nothing else self.forks
        return Daemon(name, command, self.logs / f"{name}.log", env=self.env, cwd=PROJECT, forks=forks)

    def prepare(self) -> None:
        """Make the home and the tables."""
        for folder in ("", "spool", "drop", "maildirs", "keys", "redis"):
            (self.home / folder).mkdir(mode=0o700, parents=True, exist_ok=True)

        def migrate() -> None:
            self.manage("migrate", "--verbosity", "0")

        if self.database_url:
            tables.make_in_server(_libpq_url(self.database_url), migrate)
        else:
            tables.make_in_file(self.home / "mailspool.sqlite3", migrate)

    def start(self) -> None:
        """Start everything, and wait until mail is taken."""
        if self._has_redis:
            self.redis.start()
        for daemon in [*self.listeners, *self.workers, self.maintenance, self.scheduler]:
            daemon.start()
        if self.web is not None:
            self.web.start(lambda: is_listening(self.web_port))
        self.wait_for_listener()
        self.wait_for_workers()

    def wait_for_listener(self, seconds: float = 30.0) -> None:
        wait_until(lambda: is_listening(self.smtp_port), f"listening on {self.smtp_port}\n{self.log_tails()}", seconds)

    def wait_for_workers(self, seconds: float = 30.0) -> None:
        """Until every worker that runs, and the scheduler, has told of itself: then it minds signals too."""
        missing = [daemon for daemon in [*self.workers, self.scheduler] if daemon.alive]

        def all_there() -> bool:
            there = {pid for (pid,) in self.rows("SELECT pid FROM spool_program")}
            missing[:] = [daemon for daemon in missing if there.isdisjoint(daemon.pids)]
            return not missing

        wait_until(all_there, f"workers and scheduler are there\n{self.log_tails()}", seconds, every=0.1)

    def waits_for_a_job(self) -> bool:
        """Whether some worker for mail waits for RQ's queue, and is in no pass."""
        with self.redis.client() as client:
            return any(client.hget(key, "state") == b"idle" for key in client.smembers("rq:workers:mail"))

    def revive(self) -> None:
        """Start what has ended by itself, as a supervisor does."""
        for daemon in self.daemons:
            if not daemon.alive:
                daemon.start()

    def lapse_leases(self) -> None:
        """Have half a minute go by for entries whose workers were killed. No worker may live."""
        assert not any(worker.alive for worker in self.workers)
        self.run(
            "from django.utils import timezone\nfrom spool.models import Entry\n"
            "Entry.objects.leased().update(due_at=timezone.now())"
        )

    def let_leases_lapse(self) -> None:
        """The same while workers live: they are stopped for it, and finish what they have."""
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
        for worker in self.workers:
            worker.finish()
        self.lapse_leases()
        for worker in self.workers:
            worker.start()

    @property
    def daemons(self) -> list[Daemon]:
        """Every process but Redis, in the order of starting."""
        web = [self.web] if self.web is not None else []
        return [*self.listeners, *self.workers, self.maintenance, self.scheduler, *web]

    def stop(self) -> dict[str, int | None]:
        """SIGTERM to all at once, Redis last; the exit status of each."""
        for daemon in self.daemons:
            daemon.signal(signal.SIGTERM)
        # A second signal could come while Python ends and handles none any more.
        statuses = {daemon.name: daemon.finish() for daemon in self.daemons}
        self.redis.stop()
        return statuses

    def kill_programs(self) -> None:
        """All of them at once, as a machine dies; Redis is elsewhere."""
        for daemon in self.daemons:
            daemon.kill()

    def kill(self) -> None:
        self.kill_programs()
        if self._has_redis:
            self.redis.kill()
        self.forks.close()

    def manage(self, *arguments: str, check: bool = True, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a `manage.py` command. Raises CalledProcessError, with what it printed, when `check` is asked for."""
        done = self.forks.run(arguments, seconds)
        if check and done.returncode:
            raise AssertionError(f"manage.py {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def run(self, statements: str) -> str:
        """Run Python in the installation, as `manage.py shell -c` does; returns what it printed."""
        return self.manage("shell", "-v", "0", "-c", statements).stdout

    def settings(self, *, bypass_networks: str | None = None, **values: object) -> None:
        """Set fields of spool.Settings, checked as in the console. In effect on return, in running processes too.

        `bypass_networks` are those that need no login, by the whitelist; commas between them, none of them for "".
        """
        if bypass_networks is not None:
            networks = bypass_networks.replace(",", " ").split()
            self.run(
                "from security import actions\nfrom security.models import WhitelistEntry\n"
                "from spool.actions.actor import Actor\nactor = Actor.at_the_shell()\n"
                "for row in WhitelistEntry.objects.filter(auth_bypass=True):\n"
                "    actions.whitelist(actor, row.network, auth_bypass=False)\n"
                f"for network in {networks!r}:\n    actions.whitelist(actor, network, auth_bypass=True)"
            )
        if "smtp_out_port" in values:
            # The hosts of tests are on this machine.
            values.setdefault("private_hosts", True)
        self.run(
            f"from spool.models import Settings\nrow = Settings.load()\nfor name, value in {values!r}.items():\n"
            "    setattr(row, name, value)\nrow.full_clean()\nrow.save()"
        )
        if any(daemon.alive for daemon in self.daemons):
            time.sleep(SETTINGS_ARE_KEPT_SECONDS)

    def add_domain(self, name: str, *users: str) -> None:
        """A local domain with users by their local parts, who all have PASSWORD."""
        self.run(
            f"from accounts.models import Domain, User\ndomain = Domain.objects.create(name={name!r})\n"
            f"for user in {users!r}:\n"
            f"    User.objects.create_user(f'{{user}}@{name}', {PASSWORD!r}, domain=domain)"
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer to a query, from a connection of its own."""
        if not self.database_url:
            path = self.home / "mailspool.sqlite3"
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
                return connection.execute(query).fetchall()
        with psycopg.connect(_libpq_url(self.database_url), autocommit=True) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    @property
    def is_empty(self) -> bool:
        """Whether all mail has left the spool."""
        return self.count("spool_entry") == 0

    def wait_until_empty(self, seconds: float = 30.0) -> None:
        wait_until(lambda: self.is_empty, "the spool is empty", seconds, every=0.1)

    def message_files(self) -> list[Path]:
        """Every file below the spool, half-written ones too, but for the marks of its folders."""
        files = (path for path in (self.home / "spool").rglob("*") if path.is_file())
        return sorted(path for path in files if not path.name.startswith("."))

    def contents(self) -> list[bytes]:
        """Every message in the spool, whether or not it has a file."""
        in_rows = [bytes(content) for (content,) in self.rows("SELECT content FROM spool_content")]
        return [*in_rows, *(path.read_bytes() for path in self.message_files())]

    def maildir(self, address: str) -> list[Path]:
        """The messages in a user's Maildir, oldest first."""
        local_part, _, domain = address.rpartition("@")
        folder = self.home / "maildirs" / domain / local_part
        found = [path for name in ("new", "cur") for path in folder.glob(f"{name}/*")]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns)

    def smtp(self, port: int = 0, *, local_hostname: str = "client.test") -> smtplib.SMTP:
        """A connection to the listener, which has been greeted. Raises OSError or smtplib.SMTPException."""
        client = smtplib.SMTP("127.0.0.1", port or self.smtp_port, local_hostname=local_hostname, timeout=30)
        client.ehlo()
        return client

    def send(
        self,
        sender: str,
        to: str | Sequence[str],
        content: bytes,
        *,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> None:
        """Hand a message over by SMTP. Raises smtplib.SMTPException when any recipient is refused."""
        recipients = [to] if isinstance(to, str) else list(to)
        with self.smtp() as client:
            refused = client.sendmail(sender, recipients, content, mail_options, rcpt_options)
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)

    def log_tails(self) -> str:
        """The end of every process's log, for the message of a failed test."""
        return "\n".join(f"--- {daemon.name}\n{daemon.log_tail(1500)}" for daemon in self.daemons)

    def errors_logged(self) -> list[str]:
        """Lines at ERROR or above, and tracebacks, in all logs."""
        found = []
        for log in sorted(self.logs.glob("*.log")):
            for line in log.read_text(errors="replace").splitlines():
                if "level=ERROR " in line or "level=CRITICAL " in line or line.lstrip().startswith("Traceback"):
                    found.append(f"{log.name}: {line}")
        return found


def _socket_of(home: Path) -> Path:
    """Where the embedded Redis of a home listens: the home's own rule."""
    return Home(home).redis_socket


def _libpq_url(database_url: str) -> str:
    return database_url.replace("postgres://", "postgresql://", 1)
