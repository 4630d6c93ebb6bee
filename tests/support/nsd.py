"""A real name server, NSD, whose zones a test writes."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.exception
import dns.message
import dns.query

from tests.support.daemon import Daemon
from tests.support.ports import free_port
from tests.support.waiting import wait_until

ADDRESS = "127.0.0.1"


class NSD:
    """Serves zones from files below a folder, on a port of loopback, as the name server ns.ZONE of each."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._zones: dict[str, list[str]] = {}
        self._serial = 1
        self._daemon = Daemon("nsd", ["nsd", "-d", "-c", folder / "nsd.conf"], folder / "nsd.log")

    @property
    def address(self) -> str:
        """`host:port`, as MAILSPOOL_DNS wants it."""
        return f"{ADDRESS}:{self.port}"

    def serve_text(self, zone: str, text: str) -> None:
        """Serve a whole zone file; before it starts."""
        self._zones[zone] = []
        self._file(zone).write_text(text, encoding="utf-8")

    def _file(self, zone: str) -> Path:
        return self._folder / f"{zone.strip('.') or 'root'}.zone"

    def serve(self, zone: str, records: Sequence[str] = ()) -> None:
        """Have these lines, and no others, in a zone, besides what every zone has."""
        self._zones[zone] = list(records)
        self._serial += 1
        own = [
            f"$ORIGIN {zone}.",
            "$TTL 60",
            f"@ IN SOA ns.{zone}. root.{zone}. {self._serial} 3600 600 86400 60",
            f"@ IN NS ns.{zone}.",
            f"ns IN A {ADDRESS}",
        ]
        self._file(zone).write_text("\n".join([*own, *records]) + "\n", encoding="utf-8")
        if self._daemon.alive:
            self._daemon.signal(signal.SIGHUP)
            wait_until(lambda: f" {self._serial} " in self._asked(zone, "SOA"), f"{zone} served anew")

    def __enter__(self) -> Self:
        zones = "".join(f"zone:\n  name: {zone}\n  zonefile: {self._file(zone).name}\n" for zone in self._zones)
        (self._folder / "nsd.conf").write_text(
            f'server:\n  ip-address: {ADDRESS}@{self.port}\n  username: ""\n  chroot: ""\n  database: ""\n'
            f"  zonesdir: {self._folder}\n  zonelistfile: {self._folder}/zone.list\n  pidfile: {self._folder}/nsd.pid\n"
            f"  xfrdfile: {self._folder}/xfrd.state\n  xfrdir: {self._folder}\n  server-count: 1\n"
            f"remote-control:\n  control-enable: no\n{zones}",
            encoding="utf-8",
        )
        self._daemon.start(lambda: all("SOA" in self._asked(zone, "SOA") for zone in self._zones))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._daemon.stop()

    def _asked(self, name: str, kind: str) -> str:
        """The answer as text; empty while there is none."""
        try:
            answer = dns.query.udp(dns.message.make_query(name, kind), ADDRESS, 1.0, port=self.port)
        except (dns.exception.DNSException, OSError):
            return ""
        return "\n".join(records.to_text() for records in answer.answer)
