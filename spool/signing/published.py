"""Whether the DNS shows a key: asked of the domain's own name servers, past what any resolver has kept."""

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
import dns.rdatatype
import dns.resolver

from base import resolvers
from spool.models.dkim import DkimKey

QUESTION_SECONDS: Final = 4.0
LOOK_SECONDS: Final = 20.0
MOST_SERVERS: Final = 8
# A selector may be an alias, of one in a zone that is kept by somebody else.
MOST_ALIASES: Final = 4


class NoAnswer(Exception):
    """The DNS did not say; nothing follows from that."""


@dataclass(frozen=True, slots=True)
class Found:
    """`problem` says what is wrong with the record, empty when all name servers show the key. `ttl_seconds` is the
    longest that they told."""

    problem: str
    ttl_seconds: int = 0


class Servers:
    """Whom to ask: a resolver (`host:port`; empty for the machine's) for who serves a zone, then those servers."""

    def __init__(self, resolver: str = "", port: int = 53) -> None:
        self._resolver = resolvers.resolver(dns.resolver.Resolver, resolver)
        self._resolver.lifetime = QUESTION_SECONDS
        self._port = port

    def look_for(self, key: DkimKey) -> Found:
        """The record of a key. Raises NoAnswer, also when some server does not answer."""
        until = time.monotonic() + LOOK_SECONDS
        problem, longest = "", 0
        for server, address in self._serving(dns.name.from_text(key.name)):
            texts, ttl = self._texts(dns.name.from_text(key.name), address, until, MOST_ALIASES)
            longest = max(longest, ttl)
            if wrong := _wrong_with(texts, key):
                problem = problem or f"{server}: {wrong}"
        return Found(problem, longest)

    def _serving(self, name: dns.name.Name) -> Iterator[tuple[str, str]]:
        """(name, address) of each server of the zone that a name is in. Raises NoAnswer."""
        try:
            zone = dns.resolver.zone_for_name(name, resolver=self._resolver)
            servers = sorted(str(record.target) for record in self._resolver.resolve(zone, "NS"))[:MOST_SERVERS]
        except (dns.exception.DNSException, OSError) as error:
            raise NoAnswer(
                f"the name servers of {name.to_text(omit_final_dot=True)} could not be found: {_reason(error)}"
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
                raise NoAnswer(f"the address of {server} could not be found: {_reason(error)}") from error
        raise NoAnswer(f"the name server {server} has no address")

    def _texts(self, name: dns.name.Name, address: str, until: float, aliases: int) -> tuple[list[str], int]:
        """The TXT records that a server has for a name, and for how long they may be kept. Raises NoAnswer."""
        question = dns.message.make_query(name, dns.rdatatype.TXT)
        # It is to say what it has itself.
        question.flags &= ~dns.flags.RD
        seconds = min(QUESTION_SECONDS, until - time.monotonic())
        if seconds <= 0:
            raise NoAnswer(f"its name servers did not answer within {LOOK_SECONDS:.0f} s")
        try:
            answer, _by_tcp = dns.query.udp_with_fallback(question, address, seconds, port=self._port)
        except (dns.exception.DNSException, OSError) as error:
            raise NoAnswer(f"{address} did not answer: {_reason(error)}") from error
        if answer.rcode() == dns.rcode.NXDOMAIN:
            return [], 0
        if answer.rcode() != dns.rcode.NOERROR:
            raise NoAnswer(f"{address} answered {dns.rcode.to_text(answer.rcode())}")
        for records in answer.answer:
            if records.rdtype == dns.rdatatype.TXT:
                return [b"".join(one.strings).decode("utf-8", "replace") for one in records], records.ttl
        for records in answer.answer:
            if records.rdtype == dns.rdatatype.CNAME:
                return self._aliased(records[0].target, until, aliases - 1)
        return [], 0

    def _aliased(self, name: dns.name.Name, until: float, aliases: int) -> tuple[list[str], int]:
        if aliases <= 0:
            raise NoAnswer(f"more than {MOST_ALIASES} aliases lead to it")
        found = [self._texts(name, address, until, aliases) for _server, address in self._serving(name)]
        # As good as the worst of them: each may be asked.
        return min(found, key=lambda one: len(one[0])) if found else ([], 0)


def _wrong_with(texts: list[str], key: DkimKey) -> str:
    """What keeps receivers from using the record (RFC 6376 3.6.1), empty if nothing does."""
    if not texts:
        return "there is no record yet"
    if len(texts) > 1:
        return f"there are {len(texts)} records, where one is allowed"
    tags = {}
    for part in texts[0].split(";"):
        name, _equals, value = part.partition("=")
        tags[name.strip()] = "".join(value.split())
    if tags.get("v", "DKIM1") != "DKIM1":
        return "it is no DKIM record (v=DKIM1)"
    if tags.get("k", "rsa") != key.algorithm:
        return f"it says k={tags.get('k', 'rsa')}, the key is {key.algorithm}"
    if not tags.get("p"):
        return "the key is revoked there (p= is empty)" if "p" in tags else "it has no p="
    if tags["p"] != key.public_key:
        return "it shows another key"
    if "h" in tags and "sha256" not in tags["h"].split(":"):
        return f"it allows only h={tags['h']}"
    if "s" in tags and not {"*", "email"} & set(tags["s"].split(":")):
        return f"it is not for mail (s={tags['s']})"
    return ""


def _reason(error: Exception) -> str:
    return "not in time" if isinstance(error, dns.exception.Timeout) else str(error) or type(error).__name__
