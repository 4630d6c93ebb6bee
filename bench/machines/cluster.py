"""Homes that share one PostgreSQL and one Redis, and no file."""

from __future__ import annotations

import shutil
from pathlib import Path

from mailspool.home import Home
from tests.support.dns import DNSServer
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

STORE = {"MAILSPOOL_STORE": "database", "MAILSPOOL_INLINE_KB": "2"}


class Cluster:
    """`number` machines: mx1, mx2, … None runs until it is started."""

    def __init__(self, folder: Path, number: int, domains: list[str]) -> None:
        self.postgres = PostgresServer()
        self.redis = RedisServer(folder / "redis", Home(folder).redis_socket)
        self.dns = DNSServer()
        self.machines: list[MailspoolUnderTest] = []
        self._folder, self._number, self._domains = folder, number, domains

    def prepare(self, sink_port: int, **settings: object) -> None:
        """Start what they share, and make the homes."""
        self.postgres.start()
        self.redis.start()
        self.dns.start()
        for number, domain in enumerate(self._domains):
            self.dns.add(domain, "MX", f"10 mx.{domain}.")
            # A host of its own, as each has a limit of connections.
            self.dns.add(f"mx.{domain}", "A", f"127.77.{number // 250}.{number % 250 + 1}")
        url = self.postgres.create_database("mailspool")
        for number in range(1, self._number + 1):
            machine = MailspoolUnderTest(
                self._folder / f"mx{number}",
                database_url=url,
                dns=self.dns.address,
                env={"MAILSPOOL_MACHINE": f"mx{number}", **STORE},
                redis=self.redis,
            )
            self.machines.append(machine)
        first, *others = self.machines
        first.prepare()
        first.settings(bypass_networks="127.0.0.0/8", smtp_out_port=sink_port, **settings)
        first.run("from spool.files import marks; assert not marks.settle()")
        for machine in others:
            for name in ("spool", "drop", "quarantine", "maildirs"):
                (machine.home / name).mkdir(parents=True)
            shutil.copytree(first.home / "keys", machine.home / "keys")
            machine.manage("check", "--mark")

    def start(self) -> None:
        for machine in self.machines:
            machine.start()

    def stop(self) -> None:
        """All of it, at once."""
        for machine in self.machines:
            machine.kill()
        self.redis.kill()
        self.postgres.remove()
        self.dns.stop()
