"""The two that are measured, set up alike: Mailspool on a database, and Debian's Postfix. Both relay to one sink."""

from __future__ import annotations

import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol

from tests.support.daemon import Daemon
from tests.support.dns import DNSServer
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postfix import PostfixServer, tool
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

# Names under which both systems know the two sinks.
SINK_DOMAIN = "sink.test"
LATENCY_DOMAIN = "latency.test"


def dns_of(*domains: str) -> DNSServer:
    """A DNS by which mail for those domains goes to this machine; not started."""
    dns = DNSServer()
    for domain in domains:
        dns.add(domain, "MX", f"10 mx.{domain}.")
        dns.add(f"mx.{domain}", "A", "127.0.0.1")
    return dns


class Racer(Protocol):
    """What mail can be sent through."""

    name: str
    port: int

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def parts(self) -> dict[str, list[int]]:
        """The processes that do its work, by what they do."""


class System(ABC):
    """Something that takes mail by SMTP on `port` and hands it on."""

    name: str
    port: int

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def parts(self) -> dict[str, list[int]]:
        """The processes that do its work, by what they do."""

    @abstractmethod
    def intake_only(self) -> int:
        """Take mail in, durably, and deliver nothing until `deliver_again`; returns the port to send to."""

    @abstractmethod
    def deliver_again(self) -> None: ...

    @abstractmethod
    def deliver_latency_to(self, port: int) -> None:
        """Hand what is for LATENCY_DOMAIN to the sink on that port, from now on."""


# Every kind of check that needs an answer from elsewhere, for outbound mail as well.
_ENGINES = """
from quarantine.models import AntivirusSettings, Check
row = AntivirusSettings.load()
row.clamd_servers, row.clamd_connections = "127.0.0.1:{clamd}", 200
row.full_clean()
row.save()
for kind, where, pattern in (
    ("spamd", "127.0.0.1:{spamd}", ""), ("spf", "", ""), ("dkim", "", ""), ("dmarc", "", ""), ("rdns", "", ""),
    ("ip_list", "bl.test", ""), ("uri_list", "uri.test", ""), ("null_sender", "", ""), ("body", "", "viagra"),
):
    # These engines answer any number of questions at once.
    check = Check(name=kind, kind=kind, where=where, pattern=pattern, outbound=True, parallel=1000)
    check.full_clean()
    check.save()
"""


class MailspoolSystem(System):
    """Mailspool as `make run` sets it up, without web, on SQLite or on a PostgreSQL that syncs."""

    def __init__(
        self,
        folder: Path,
        database: str,
        *,
        dns: str,
        sink_port: int,
        workers: int,
        profile: bool,
        engines: tuple[int, int] | None = None,
        counted: bool = True,
        logged: bool = True,
        inline_kb: int | None = None,
        store: str = "",
        runner: str = "",
    ) -> None:
        self.name = f"mailspool/{database}" if engines is None else scanning(f"mailspool/{database}")
        if not counted:
            self.name = uncounted(self.name)
        if not logged:
            self.name = unlogged(self.name)
        if inline_kb is not None:
            self.name = placed(self.name, inline_kb)
        self._place = {} if inline_kb is None else {"MAILSPOOL_INLINE_KB": str(inline_kb)}
        if store:
            self.name = stored(self.name, store)
            self._place["MAILSPOOL_STORE"] = store
        self._logged = logged
        # The module that runs its listeners and workers, in the place of manage.py.
        self._runner = runner if counted else "bench.uncounted"
        self._engines = engines
        self.sink_port = sink_port
        self.profile = profile
        self.folder = folder / self.name.replace("/", "-").replace(", ", "-").replace(" ", "-")
        self.postgres = PostgresServer() if database == "postgres" else None
        self._dns, self._workers = dns, workers
        self.mailspool: MailspoolUnderTest

    def start(self) -> None:
        url = ""
        if self.postgres is not None:
            self.postgres.start()
            url = self.postgres.create_database("mailspool")
        # Where Postfix has its own, too.
        where = f"file:{self.folder / 'mail.log'}" if self._logged else "none"
        self.mailspool = MailspoolUnderTest(
            self.folder,
            database_url=url,
            dns=self._dns,
            workers=self._workers,
            from_nothing=True,
            env={"MAILSPOOL_LOG": where, **self._place},
        )
        self.port = self.mailspool.smtp_port
        if self._runner:
            for daemon in [*self.mailspool.listeners, *self.mailspool.workers]:
                daemon.command = [sys.executable, "-m", self._runner, *_arguments(daemon)]
        if self.profile:
            for daemon in [*self.mailspool.listeners, *self.mailspool.workers]:
                _profiled(daemon, self.folder / f"{daemon.name}.profile")
        self.mailspool.prepare()
        self.mailspool.settings(bypass_networks="127.0.0.0/8", smtp_out_port=self.sink_port)
        if self._engines is not None:
            self.mailspool.run(_ENGINES.format(clamd=self._engines[0], spamd=self._engines[1]))
        self.mailspool.start()

    def stop(self) -> None:
        self.mailspool.stop()
        self.mailspool.kill()
        if self.postgres is not None:
            self.postgres.remove()

    def parts(self) -> dict[str, list[int]]:
        parts = {
            "smtpd": [daemon.pid for daemon in self.mailspool.listeners],
            "workers": [daemon.pid for daemon in self.mailspool.workers if daemon.alive],
            "scheduler": [self.mailspool.scheduler.pid],
            "maintenance": [self.mailspool.maintenance.pid],
            "redis": [self.mailspool.redis.daemon.pid],
        }
        if self.postgres is not None:
            parts["postgres"] = [self.postgres.daemon.pid]
        return parts

    def intake_only(self) -> int:
        for daemon in self.mailspool.workers:
            daemon.stop()
        return self.port

    def deliver_again(self) -> None:
        for daemon in self.mailspool.workers:
            daemon.start()
        self.mailspool.wait_until_empty(120)

    def deliver_latency_to(self, port: int) -> None:
        self.mailspool.settings(smtp_out_port=port)
        # Running workers look at their settings once a second.
        time.sleep(2)


class PostfixSystem(System):
    """Debian's Postfix with its default settings, relaying everything to the sink."""

    def __init__(self, sink_port: int, latency_port: int, *, logs: bool) -> None:
        self.name = "postfix"
        self._latency_port = latency_port
        relay = {
            "relayhost": f"[127.0.0.1]:{sink_port}",
            "transport_maps": f"inline:{{ {{{LATENCY_DOMAIN}=smtp:[127.0.0.1]:{latency_port}}} }}",
        }
        self._relay = PostfixServer(relay, logs=logs)
        # Holding everything is how Postfix takes mail in without delivering it. Its brake for a queue manager that
        # lags behind (in_flow_delay) has to go then: nothing is ever taken from the incoming queue.
        hold = {**relay, "smtpd_client_restrictions": "check_client_access static:HOLD", "in_flow_delay": "0"}
        self._holding = PostfixServer(hold, logs=logs)
        self.port = self._relay.port

    def start(self) -> None:
        self._relay.start()
        self._holding.start()

    def stop(self) -> None:
        self._relay.stop()
        self._holding.stop()

    def parts(self) -> dict[str, list[int]]:
        return {"postfix": [self._relay.daemon.pid]}

    def intake_only(self) -> int:
        return self._holding.port

    def deliver_again(self) -> None:
        command = [tool("postsuper"), "-c", str(self._holding.config), "-d", "ALL", "hold"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        wait_until(lambda: self._holding.queue_is_empty, "the held messages are gone", 30)

    def deliver_latency_to(self, port: int) -> None:
        if port != self._latency_port:
            raise ValueError(f"Postfix was told of port {self._latency_port} when it started")


def _profiled(daemon: Daemon, output: Path) -> None:
    """Have the process profile its main thread, until it ends by itself."""
    daemon.command = [sys.executable, "-m", "cProfile", "-o", str(output), "manage.py", *_arguments(daemon)]


def _arguments(daemon: Daemon) -> list[str]:
    """Of its `manage.py` command."""
    return daemon.command[daemon.command.index("manage.py") + 1 :]


def scanning(name: str) -> str:
    """What a system is called whose mail goes by engines."""
    return f"{name}, scanning"


def uncounted(name: str) -> str:
    """The name of a system like the one of `name` that counts no traffic."""
    return f"{name}, not counting"


def unlogged(name: str) -> str:
    """The name of a system like the one of `name` that writes no mail log."""
    return f"{name}, not logging"


def stored(name: str, store: str) -> str:
    """The name of a system like the one of `name` whose messages have that place."""
    return f"{name}, in {'the database' if store == 'database' else store}"


def placed(name: str, inline_kb: int) -> str:
    """The name of a system like the one of `name` that keeps messages up to so many KB in its database."""
    return f"{name}, {f'rows to {inline_kb} KB' if inline_kb else 'files'}"
