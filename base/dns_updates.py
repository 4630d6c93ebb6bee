"""Records put into a zone by asking its primary name server: DNS UPDATE (RFC 2136), signed by TSIG (RFC 8945).

A change says what it expects to find there, and the server makes it only if that is still so: nothing that somebody
else wrote meanwhile is lost. Everything is over TCP and ends within UPDATE_SECONDS.
"""

from __future__ import annotations

import binascii
import ipaddress
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.tsig
import dns.update

from base import resolvers
from base.dns_texts import strings_of
from base.facts import FactError, fact
from base.name_servers import reason, text_of

UPDATE_SECONDS: Final = 10.0
TTL_SECONDS: Final = 3600
# What name servers of today sign with (RFC 8945 6), the usual one first.
ALGORITHMS: Final = ("hmac-sha256", "hmac-sha512", "hmac-sha384", "hmac-sha224", "hmac-sha1")
# A zone is looked for from the name upwards; names of mail are not deeper below theirs.
_MOST_STEPS: Final = 6
_UNMET: Final = (dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.NXRRSET)


class UpdateFailed(FactError):
    """Nothing was changed; the message says why, as a sentence without its full stop."""


@dataclass(frozen=True, slots=True)
class There:
    """What the primary server has at a name, of one type: `alias` is where a CNAME leads instead."""

    zone: dns.name.Name
    name: dns.name.Name
    kind: dns.rdatatype.RdataType
    records: tuple[dns.rdata.Rdata, ...] = ()
    alias: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """As base.name_servers.Answer has them."""
        return tuple(map(text_of, self.records))


def key_name_problem(name: str) -> str:
    """What is wrong with the name of a TSIG key, as a sentence; empty if nothing is."""
    try:
        dns.name.from_text(name)
    except dns.exception.DNSException:
        return f"{name[:80]!r} can't be the name of a key."
    return ""


def secret_problem(secret: str) -> str:
    """The same of its secret."""
    try:
        is_there = bool(b64decode("".join(secret.split()), validate=True))
    except (binascii.Error, ValueError):
        is_there = False
    return "" if is_there else "The secret has to be Base64, as tsig-keygen and keymgr print it."


class Primary:
    """A zone's primary name server, and the key that it takes updates by.

    `host` is an address, or a name that `resolver` (`host:port`; empty is the machine's) knows. May be used by threads;
    make one for each change: its time runs from then on. Methods raise UpdateFailed.
    """

    def __init__(self, host: str, port: int, key: tuple[str, str, str], resolver: str = "") -> None:
        name, secret, algorithm = key
        self._key = dns.tsig.Key(dns.name.from_text(name), "".join(secret.split()), dns.name.from_text(algorithm))
        self._host, self._port, self._resolver = host, port, resolver
        self._address = ""
        self._until = time.monotonic() + UPDATE_SECONDS

    def read(self, name: str, kind: str) -> There:
        """What it has at a name."""
        whole, of_kind = dns.name.from_text(name), dns.rdatatype.from_text(kind)
        zone = self._zone_of(whole)
        answer = self._asked(whole, of_kind)
        for records in answer.answer:
            if records.name == whole and records.rdtype == of_kind:
                return There(zone, whole, of_kind, tuple(records))
            if records.name == whole and records.rdtype == dns.rdatatype.CNAME:
                return There(zone, whole, of_kind, alias=records[0].target.to_text(omit_final_dot=True))
        return There(zone, whole, of_kind)

    def replace(self, there: There, gone: Callable[[str], bool], put: Sequence[str]) -> None:
        """Take out the records whose text is `gone`, and put in others; none if there is something else by now."""
        if there.alias:
            raise UpdateFailed(
                fact(
                    "%(name)s is an alias of %(alias)s: its record has to be put there",
                    name=_plain(there.name),
                    alias=there.alias,
                )
            )
        update = dns.update.UpdateMessage(there.zone)
        if there.records:
            update.present(there.name, *there.records)
        elif there.kind == dns.rdatatype.CNAME:
            update.absent(there.name)
        else:
            update.absent(there.name, there.kind)
            update.absent(there.name, dns.rdatatype.CNAME)
        for record in there.records:
            if gone(text_of(record)):
                update.delete(there.name, record)
        for text in put:
            update.add(there.name, TTL_SECONDS, _record(there.kind, text))
        answer = self._sent(update)
        if answer.rcode() == dns.rcode.YXDOMAIN and there.kind == dns.rdatatype.CNAME:
            raise UpdateFailed(
                fact("%(name)s has other records, and an alias can't stand beside them", name=_plain(there.name))
            )
        if answer.rcode() in _UNMET:
            raise UpdateFailed(
                fact(
                    "what %(host)s has at %(name)s has changed just now: look again",
                    host=self._host,
                    name=_plain(there.name),
                )
            )
        if answer.rcode() == dns.rcode.REFUSED:
            raise UpdateFailed(
                fact(
                    "%(host)s refuses to change %(name)s: allow updates of it by the key %(key)s",
                    host=self._host,
                    name=_plain(there.name),
                    key=self._key_name,
                )
            )
        self._expect_good(answer, there.name)

    @property
    def _key_name(self) -> str:
        return _plain(self._key.name)

    def _zone_of(self, name: dns.name.Name) -> dns.name.Name:
        """The zone that a name is in, as far as the server has it."""
        at = name
        for _ in range(_MOST_STEPS):
            answer = self._asked(at, dns.rdatatype.SOA)
            for records in (*answer.answer, *answer.authority):
                if records.rdtype == dns.rdatatype.SOA and at.is_subdomain(records.name):
                    return records.name
            if len(at) <= 2:
                break
            # Below an alias there is no SOA to be told.
            at = at.parent()
        raise UpdateFailed(fact("%(host)s does not have the zone of %(name)s", host=self._host, name=_plain(name)))

    def _asked(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        query.flags &= ~dns.flags.RD
        answer = self._sent(query)
        if answer.rcode() in (dns.rcode.REFUSED, dns.rcode.NOTAUTH):
            raise UpdateFailed(
                fact(
                    "%(host)s does not have the zone of %(name)s, or does not let its key see it",
                    host=self._host,
                    name=_plain(name),
                )
            )
        if answer.rcode() != dns.rcode.NXDOMAIN:
            self._expect_good(answer, name)
        if not answer.flags & dns.flags.AA:
            raise UpdateFailed(
                fact("%(host)s is not a name server of the zone of %(name)s", host=self._host, name=_plain(name))
            )
        return answer

    def _expect_good(self, answer: dns.message.Message, name: dns.name.Name) -> None:
        if answer.rcode() in (dns.rcode.NOTAUTH, dns.rcode.NOTZONE):
            raise UpdateFailed(
                fact(
                    "%(host)s is not the primary name server of the zone of %(name)s",
                    host=self._host,
                    name=_plain(name),
                )
            )
        if answer.rcode() != dns.rcode.NOERROR:
            raise UpdateFailed(
                fact(
                    "%(host)s answered %(code)s about %(name)s",
                    host=self._host,
                    code=dns.rcode.to_text(answer.rcode()),
                    name=_plain(name),
                )
            )

    def _sent(self, message: dns.message.Message) -> dns.message.Message:
        message.use_tsig(self._key)
        left = self._until - time.monotonic()
        try:
            if left <= 0:
                raise dns.exception.Timeout
            self._address = self._address or self._found(left)
            answer = dns.query.tcp(message, self._address, max(0.01, self._until - time.monotonic()), port=self._port)
        except (dns.tsig.PeerBadKey, dns.message.UnknownTSIGKey) as error:
            raise UpdateFailed(
                fact(
                    "%(host)s does not know the key %(key)s for this algorithm, or does not allow this by it",
                    host=self._host,
                    key=self._key_name,
                )
            ) from error
        except (dns.tsig.PeerBadSignature, dns.tsig.BadSignature, dns.tsig.BadKey) as error:
            raise UpdateFailed(
                fact(
                    "%(host)s has another secret or algorithm for the key %(key)s", host=self._host, key=self._key_name
                )
            ) from error
        except (dns.tsig.PeerBadTime, dns.tsig.BadTime) as error:
            raise UpdateFailed(
                fact("the clock of %(host)s differs by minutes from this server's", host=self._host)
            ) from error
        except dns.exception.FormError as error:
            # Who has not the key could have said it (RFC 8945 5.4).
            raise UpdateFailed(
                fact("%(host)s answers without a signature: it does not have this zone or key", host=self._host)
            ) from error
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise UpdateFailed(
                fact(
                    "%(host)s, port %(port)s, does not answer: %(why)s",
                    host=self._host,
                    port=str(self._port),
                    why=reason(error),
                )
            ) from error
        return answer

    def _found(self, seconds: float) -> str:
        """The address of the server."""
        try:
            return str(ipaddress.ip_address(self._host))
        except ValueError:
            pass
        resolver = resolvers.resolver(dns.resolver.Resolver, self._resolver)
        for kind in ("A", "AAAA"):
            try:
                return str(resolver.resolve(self._host, kind, search=False, lifetime=seconds / 2)[0])
            except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
                continue
        raise UpdateFailed(fact("%(host)s has no address in the DNS", host=self._host))


def _record(kind: dns.rdatatype.RdataType, text: str) -> dns.rdata.Rdata:
    """A record from its text: of TXT as Answer has it, of others as a zone file has them, with whole names."""
    value = strings_of(text) if kind == dns.rdatatype.TXT else text
    return dns.rdata.from_text(dns.rdataclass.IN, kind, value, relativize=False)


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)
