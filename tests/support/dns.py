"""A real DNS server on a free port, whose answers a test writes: records, names that fail, names that never answer."""

from __future__ import annotations

import threading
from collections import defaultdict
from types import TracebackType

from dnslib import CLASS, QTYPE, RCODE, RR, DNSRecord
from dnslib.server import BaseResolver, DNSLogger
from dnslib.server import DNSServer as _Server

from tests.support.ports import free_port

# How many aliases are followed, as resolvers do.
_LONGEST_CHAIN = 8


class DNSServer(BaseResolver):  # type: ignore[misc]
    """Authoritative for everything. Names without records do not exist (NXDOMAIN).

    `queries` holds every question so far, as ("MX", "example.org").
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.queries: list[tuple[str, str]] = []
        self._records: defaultdict[tuple[str, str], list[RR]] = defaultdict(list)
        self._failures: dict[str, str] = {}
        self._never = threading.Event()
        quiet = DNSLogger("-request,-reply,-truncated,-error")
        self._servers = [
            _Server(self, address="127.0.0.1", port=self.port, tcp=tcp, logger=quiet) for tcp in (False, True)
        ]

    @property
    def address(self) -> str:
        """As MAILSPOOL_DNS takes it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> DNSServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        for server in self._servers:
            server.start_thread()

    def stop(self) -> None:
        self._never.set()
        for server in self._servers:
            server.stop()
            server.server.server_close()

    def add(self, name: str, kind: str, value: str, ttl: int = 60) -> None:
        """One more record, its value as in a zone file: `add("example.org", "MX", "10 mx.example.org.")`."""
        name = _plain(name)
        [record] = RR.fromZone(f"{name}. {ttl} IN {kind} {value}")
        self._records[name, kind].append(record)

    def remove(self, name: str, kind: str) -> None:
        """Forget the records of a name."""
        self._records.pop((_plain(name), kind), None)

    def fail(self, name: str, how: str = "SERVFAIL") -> None:
        """Answer every question about a name with an RCODE (as SERVFAIL, REFUSED); "TIMEOUT" gives no answer at all."""
        self._failures[_plain(name)] = how

    def mend(self, name: str) -> None:
        """Undo `fail`."""
        self._failures.pop(_plain(name), None)

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        """dnslib's hook: one question."""
        name, kind = _plain(str(request.q.qname)), QTYPE[request.q.qtype]
        self.queries.append((kind, name))
        reply = request.reply()
        if request.q.qclass != CLASS.IN:
            reply.header.rcode = RCODE.REFUSED
            return reply
        for _ in range(_LONGEST_CHAIN):
            failure = self._failures.get(name)
            if failure == "TIMEOUT":
                self._never.wait(60)
            elif failure is not None:
                reply.header.rcode = getattr(RCODE, failure)
                return reply
            records = self._records.get((name, kind), [])
            aliases = self._records.get((name, "CNAME"), []) if not records else []
            reply.add_answer(*records, *aliases)
            if not aliases:
                break
            name = _plain(str(aliases[0].rdata.label))
        if not reply.rr and not any(known == name for known, _ in self._records):
            reply.header.rcode = RCODE.NXDOMAIN
        return reply


def _plain(name: str) -> str:
    return name.rstrip(".").lower()
