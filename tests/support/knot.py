"""A real primary name server, Knot DNS, that takes updates signed by a TSIG key (RFC 2136, RFC 8945)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import dns.exception
import dns.message
import dns.query

from tests.support.daemon import Daemon
from tests.support.ports import free_port

ADDRESS: Final = "127.0.0.1"
KEY_NAME: Final = "mailspool"
SECRET: Final = "c2l4dGVlbiBieXRlcyBvZiBhIHNlY3JldCBrZXkhISE="


class Knot:
    """Serves zones on a port of loopback, as the name server ns.ZONE of each, and changes those that the key may.

    The key can be used for TXT, MX, CNAME and TLSA; in `closed` zones it can't be used at all.
    """

    def __init__(self, folder: Path, *zones: str, closed: Sequence[str] = (), records: Sequence[str] = ()) -> None:
        self.port = free_port()
        self._folder, self._zones, self._closed = folder, zones, closed
        self._daemon = Daemon("knotd", ["/usr/sbin/knotd", "-c", str(folder / "knot.conf")], folder / "knot.log")
        for zone in (*zones, *closed):
            own = [
                f"$ORIGIN {zone}.",
                "$TTL 60",
                f"@ IN SOA ns.{zone}. root.{zone}. 1 3600 600 86400 60",
                f"@ IN NS ns.{zone}.",
                f"ns IN A {ADDRESS}",
            ]
            (folder / f"{zone}.zone").write_text("\n".join([*own, *records]) + "\n", encoding="utf-8")

    @property
    def address(self) -> str:
        """`host:port`, as MAILSPOOL_DNS wants it."""
        return f"{ADDRESS}:{self.port}"

    def __enter__(self) -> Self:
        of_zones = [(zone, "acl: may") for zone in self._zones] + [(zone, "") for zone in self._closed]
        listed = "".join(f"  - domain: {zone}\n    file: {zone}.zone\n    {acl}\n" for zone, acl in of_zones)
        (self._folder / "knot.conf").write_text(
            f"server:\n  rundir: {self._folder}\n  listen: {ADDRESS}@{self.port}\n"
            "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
            f"log:\n  - target: stdout\n    any: info\ndatabase:\n  storage: {self._folder}\n"
            f"key:\n  - id: {KEY_NAME}\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"
            f"acl:\n  - id: may\n    key: {KEY_NAME}\n    action: update\n    update-type: [TXT, MX, CNAME, TLSA]\n"
            f"template:\n  - id: default\n    storage: {self._folder}\n    journal-content: none\n"
            f"zone:\n{listed}",
            encoding="utf-8",
        )
        self._daemon.start(lambda: all(self.texts(zone, "SOA") for zone in (*self._zones, *self._closed)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._daemon.stop()

    def texts(self, name: str, kind: str = "TXT") -> list[str]:
        """What it says of a name: strings of TXT put together, the rest as in a zone file."""
        try:
            answer = dns.query.tcp(dns.message.make_query(name, kind), ADDRESS, 2.0, port=self.port)
        except (dns.exception.DNSException, OSError):
            return []
        return [
            b"".join(record.strings).decode() if kind == "TXT" else record.to_text()
            for records in answer.answer
            for record in records
        ]
