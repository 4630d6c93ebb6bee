"""A real DNS server on loopback, whose records and failures a test sets as it goes."""

from __future__ import annotations

import socket
import threading
from typing import Self

from dnslib import QTYPE, RCODE, RR, DNSRecord

TTL = 5


class DNSServer:
    """Answers over UDP. Unknown names are NXDOMAIN; a CNAME is followed as a resolver would.

    Records and failures of `*.example.net` are those of all names one level below that have none of their own.
    """

    def __init__(self, ip: str = "127.0.0.1", port: int = 0) -> None:
        self._ip = ip
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ip, port))
        self._records: dict[str, list[tuple[str, str]]] = {}
        self._failures: dict[str, str] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="dns", daemon=True)
        self.questions: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        """`host:port`, as MAILSPOOL_DNS wants it."""
        return f"{self._ip}:{self.port}"

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    def add(self, name: str, kind: str, value: str) -> None:
        """A record as in a zone file: `add("example.net", "MX", "10 mx.example.net.")`."""
        self._records.setdefault(name.lower().rstrip("."), []).append((kind, value))

    def clear(self, name: str) -> None:
        """Know nothing of `name` any more."""
        self._records.pop(name.lower(), None)

    def fail(self, name: str, code: str) -> None:
        """Answer every question for `name` with an error such as SERVFAIL; with DROP, not at all."""
        self._failures[name.lower()] = code

    def _serve(self) -> None:
        while not self._stopped.is_set():
            question, client = self._socket.recvfrom(4096)
            if question and (answer := self._answer(DNSRecord.parse(question))):
                self._socket.sendto(answer, client)

    def _answer(self, question: DNSRecord) -> bytes | None:
        name = str(question.q.qname).rstrip(".").lower()
        kind = QTYPE[question.q.qtype]
        self.questions.append((name, kind))
        reply = question.reply()
        failure = self._failures.get(name) or self._failures.get(_wildcard(name))
        if failure == "DROP":
            return None
        if failure:
            reply.header.rcode = getattr(RCODE, failure)
        elif name not in self._records and _wildcard(name) not in self._records:
            reply.header.rcode = RCODE.NXDOMAIN
        else:
            self._fill(reply, name, kind)
        packed: bytes = reply.pack()
        return packed

    def _fill(self, reply: DNSRecord, name: str, kind: str) -> None:
        for record_kind, value in self._records.get(name) or self._records.get(_wildcard(name), ()):
            if record_kind in (kind, "CNAME"):
                for answer in RR.fromZone(f"{name}. {TTL} IN {record_kind} {value}"):
                    reply.add_answer(answer)
            if record_kind == "CNAME" and kind != "CNAME":
                self._fill(reply, value.rstrip(".").lower(), kind)


def _wildcard(name: str) -> str:
    return f"*.{name.partition('.')[2]}"


def in_pieces(text: str) -> str:
    """A TXT record as a zone file has it: no string in it is longer than 255 bytes."""
    return " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))
