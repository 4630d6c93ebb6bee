"""What the name servers of a zone say themselves, past what any resolver has kept of an older answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.txtbase import TXTBase

from base import resolvers
from base.facts import Fact, FactError, fact

QUESTION_SECONDS: Final = 4.0
LOOK_SECONDS: Final = 20.0
MOST_SERVERS: Final = 8
# A name may be an alias, of one in a zone that is kept by somebody else.
MOST_ALIASES: Final = 4
# A name that has many records says nothing by the last of them, and pages show them all.
MOST_RECORDS: Final = 50


class NoAnswer(FactError):
    """The DNS did not say; nothing follows from that."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one server has: records as text, those of TXT put together (RFC 7208 3.3), others as a zone file has them
    but in lower case and without the last dot. `ttl_seconds` is for how long they may be kept."""

    server: str
    records: tuple[str, ...] = ()
    ttl_seconds: int = 0


class _Question:
    """What kind of record is asked for, and until when."""

    def __init__(self, kind: dns.rdatatype.RdataType) -> None:
        self.kind = kind
        self._until = time.monotonic() + LOOK_SECONDS

    def left(self) -> float:
        """Seconds. Raises NoAnswer when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise NoAnswer(fact("its name servers did not answer within %(seconds)s s", seconds=round(LOOK_SECONDS)))
        return left


class NameServers:
    """Finds who serves a zone, by a resolver (`host:port`; empty is the machine's), and asks those servers.

    For many names of a zone, `kept` keeps by their TTL what the resolver says of who they are. May be used by threads.
    """

    def __init__(self, resolver: str = "", port: int = 53, *, kept: bool = False) -> None:
        self._resolver = resolvers.resolver(dns.resolver.Resolver, resolver)
        self._resolver.lifetime = QUESTION_SECONDS
        if kept:
            self._resolver.cache = dns.resolver.Cache()
        self._port = port

    def look(self, name: str, kind: str) -> list[Answer]:
        """What each server says of a name, within LOOK_SECONDS. Raises NoAnswer, also if some server gives none."""
        return self._look(dns.name.from_text(name), _Question(dns.rdatatype.from_text(kind)), MOST_ALIASES)

    def _look(self, name: dns.name.Name, question: _Question, aliases: int) -> list[Answer]:
        return [self._ask(name, question, *server, aliases) for server in self._serving(name, question)]

    def _serving(self, name: dns.name.Name, question: _Question) -> Iterator[tuple[str, str]]:
        """(name, address) of each server of the zone that a name is in. Raises NoAnswer."""
        question.left()
        try:
            zone = dns.resolver.zone_for_name(name, resolver=self._resolver)
            servers = sorted(str(record.target) for record in self._resolver.resolve(zone, "NS"))[:MOST_SERVERS]
        except (dns.exception.DNSException, OSError) as error:
            raise NoAnswer(
                fact(
                    "the name servers of %(name)s could not be found: %(why)s",
                    name=name.to_text(omit_final_dot=True),
                    why=reason(error),
                )
            ) from error
        for server in servers:
            yield server.rstrip("."), self._address_of(server)

    def _address_of(self, server: str) -> str:
        for kind in ("A", "AAAA"):
            try:
                return str(self._resolver.resolve(server, kind)[0])
            except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
                continue
            except (dns.exception.DNSException, OSError) as error:
                raise NoAnswer(
                    fact("the address of %(server)s could not be found: %(why)s", server=server, why=reason(error))
                ) from error
        raise NoAnswer(fact("the name server %(server)s has no address", server=server))

    def _ask(self, name: dns.name.Name, question: _Question, server: str, address: str, aliases: int) -> Answer:
        """What a server has for a name. Raises NoAnswer."""
        query = dns.message.make_query(name, question.kind)
        # It is to say what it has itself.
        query.flags &= ~dns.flags.RD
        seconds = min(QUESTION_SECONDS, question.left())
        try:
            answer, _by_tcp = dns.query.udp_with_fallback(query, address, seconds, port=self._port)
        except (dns.exception.DNSException, OSError) as error:
            raise NoAnswer(fact("%(address)s did not answer: %(why)s", address=address, why=reason(error))) from error
        if answer.rcode() == dns.rcode.NXDOMAIN:
            return Answer(server)
        if answer.rcode() != dns.rcode.NOERROR:
            raise NoAnswer(
                fact("%(address)s answered %(code)s", address=address, code=dns.rcode.to_text(answer.rcode()))
            )
        for records in answer.answer:
            if records.rdtype == question.kind:
                texts = tuple(text_of(record) for record, _ in zip(records, range(MOST_RECORDS), strict=False))
                return Answer(server, texts, records.ttl)
        for records in answer.answer:
            if records.rdtype == dns.rdatatype.CNAME:
                return self._aliased(records[0].target, question, server, aliases - 1)
        return Answer(server)

    def _aliased(self, name: dns.name.Name, question: _Question, server: str, aliases: int) -> Answer:
        """What the servers of the name have that `server` leads to."""
        if aliases <= 0:
            raise NoAnswer(fact("more than %(number)s aliases lead to it", number=MOST_ALIASES))
        # As good as the worst of them: each may be asked.
        worst = min(self._look(name, question, aliases), key=lambda one: len(one.records), default=Answer(server))
        return Answer(server, worst.records, worst.ttl_seconds)


def text_of(record: dns.rdata.Rdata) -> str:
    """A record as Answer has it."""
    if isinstance(record, TXTBase):
        return b"".join(record.strings).decode("utf-8", "replace")
    return record.to_text().rstrip(".").lower()


def reason(error: Exception) -> Fact | str:
    """Why there is no answer, as a part of a sentence."""
    return fact("not in time") if isinstance(error, dns.exception.Timeout) else str(error) or type(error).__name__
