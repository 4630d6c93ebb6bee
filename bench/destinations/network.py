"""The receivers that a scenario needs, on loopback, and a DNS that knows their domains."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.exception
import dns.message
import dns.query

from bench.destinations import hosts
from bench.destinations.hosts import Counts, Host
from tests.support.daemon import Daemon
from tests.support.ports import free_port
from tests.support.sink import PROJECT, Receipt, SmtpSink, receipts_in

# The receiver that takes all mail, and fast: smtp-sink, at 127.0.0.1.
FAST_DOMAIN = "fast.test"
FAST_IP = "127.0.0.1"
_NO_LABEL = str.maketrans(".:", "--")


class Network:
    """Hosts at one port of many addresses. `domains` is: whose mail the DNS sends to which addresses, in one MX set.

    `names` are how many MX hosts a domain has at each of its addresses, where that is more than one. A domain that
    begins with `*.` stands for all below. Domains without addresses get no answer from the DNS at all.
    The names of the MX hosts are below each domain; with `shared_name` below that, alike for all that share addresses.
    """

    def __init__(
        self,
        folder: Path,
        receivers: list[Host],
        domains: dict[str, list[str]],
        shared_name: str = "",
        names: Mapping[str, int] | None = None,
    ) -> None:
        self._folder = folder / "hosts"
        self._folder.mkdir()
        # smtp-sink runs as a user of its own.
        self._folder.chmod(0o755)
        self.hosts = receivers
        self.sink = SmtpSink(self._folder)
        self._dns_port = free_port()
        self._records: list[tuple[str, str, str]] = []
        self._silent: list[str] = []
        self._named: set[str] = set()
        for domain, addresses in {FAST_DOMAIN: [FAST_IP], **domains}.items():
            self._add(domain, addresses, shared_name or domain.removeprefix("*."), (names or {}).get(domain, 1))
        hosts.write(self._folder, receivers)
        known = self._folder / "names.json"
        known.write_text(json.dumps({"records": self._records, "silent": self._silent}))
        self._daemon = self._program("hosts", str(self.port), str(self._folder))
        self._dns = self._program("names", str(self._dns_port), str(known))

    def _program(self, name: str, *arguments: str) -> Daemon:
        command = [sys.executable, "-m", f"bench.destinations.{name}", *arguments]
        return Daemon(name, command, self._folder / f"{name}.log", cwd=PROJECT)

    def _add(self, domain: str, addresses: list[str], parent: str, names: int) -> None:
        if not addresses:
            self._silent.append(domain)
        for address, number in product(addresses, range(names)):
            name = f"mx{number or ''}-{address.translate(_NO_LABEL)}.{parent}"
            self._records.append((domain, "MX", f"10 {name}."))
            if name not in self._named:
                self._named.add(name)
                self._records.append((name, "AAAA" if ":" in address else "A", address))

    @property
    def dns(self) -> str:
        """`host:port`, as MAILSPOOL_DNS wants it."""
        return f"127.0.0.1:{self._dns_port}"

    def _names_are_known(self) -> bool:
        question = dns.message.make_query(FAST_DOMAIN, "MX")
        try:
            return bool(dns.query.udp(question, "127.0.0.1", 0.2, port=self._dns_port).answer)
        except (dns.exception.DNSException, OSError):
            return False

    @property
    def port(self) -> int:
        return self.sink.port

    def __enter__(self) -> Self:
        self.sink.start()
        self._dns.start(self._names_are_known)
        self._daemon.start((self._folder / "counts.json").exists)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._daemon.stop(5)
        self._dns.stop(5)
        self.sink.stop()

    def limit(self, name: str, limit: int) -> None:
        """Have a host take so many messages a minute from now on."""
        for host in self.hosts:
            if host.name == name:
                host.limit = limit
        hosts.write(self._folder, self.hosts)
        self._daemon.signal(signal.SIGHUP)

    def counts(self, name: str) -> Counts:
        return hosts.counts(self._folder)[name]

    def receipts(self) -> list[Receipt]:
        """All that was taken so far, but for what smtp-sink took."""
        return receipts_in(self._folder / "taken.txt")
