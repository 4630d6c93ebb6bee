"""Which hosts take mail for a domain (RFC 5321 5.1, RFC 7505), asked of the DNS and kept as long as it allows."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import resource
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.rdatatype
import dns.resolver

from base import resolvers
from base.expiring import ExpiringDict
from spool.delivery.remote import misshapen
from spool.delivery.remote.validation import Validation

MOST_CACHED = 50_000
SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 3600.0
FAILURE_SECONDS, NOWHERE_SECONDS = 5.0, 60.0
LOOKUP_SECONDS = 15.0
# More than RFC 5321 5.1 asks for; a domain with a hundred dead hosts must not be tried for an hour.
MOST_HOSTS, MOST_ADDRESSES = 10, 20
# And so many name the receiver that they are together.
MOST_NAMES = 100
# At once; what has taken longer than QUICK_SECONDS makes room for another, as long as no more than MOST_SLOW did: the
# domains of whoever wants them to hang must not keep others waiting, and each has sockets of its own.
MOST_LOOKUPS, QUICK_SECONDS = 200, 1.0
MOST_SLOW = 2000


class NoRoute(Exception):
    """The DNS names no host. `permanent` says whether trying again is of use; `status_code` is RFC 3463's."""

    def __init__(self, reply: str, status_code: str, *, permanent: bool) -> None:
        super().__init__(reply)
        self.reply = reply
        self.status_code = status_code
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Secured:
    """Of a host whose name and addresses the DNS has proved (DNSSEC).

    `bases` are the names below which it may have TLSA records, in the order to ask (RFC 7672 2.2.3); `next_hops` are
    what its domain is called, where an MX record led to the host (3.2.2).
    """

    bases: tuple[str, ...]
    next_hops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """One address to try. `name` is what a certificate must name; `preference` is its MX record's."""

    name: str
    ip: str
    preference: int = field(default=0, compare=False)
    secured: Secured | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The hosts of a domain, each name's addresses together with its preference; or why there are none.

    `names` are those of all its MX records, also of hosts that had no address just now, or are too many to be tried.
    """

    hosts: tuple[tuple[int, tuple[Host, ...]], ...] = ()
    names: tuple[str, ...] = ()
    trouble: NoRoute | None = None


@dataclass(frozen=True, slots=True)
class _Named:
    """The addresses of one host, good `until` that moment of the monotonic clock; or why none is known."""

    until: float
    ips: tuple[str, ...] = ()
    trouble: NoRoute | None = None
    # What its name is an alias of, or it itself; and whether the addresses were proved (DNSSEC).
    canonical: str = ""
    is_secure: bool = False


class _Turns:
    """Room for lookups. One that takes long is no more counted among those that may be quick."""

    def __init__(self) -> None:
        self._quick = asyncio.Semaphore(MOST_LOOKUPS)
        self._slow = 0
        # Of the descriptors that this process may have, most are for other things.
        self._most_slow = min(MOST_SLOW, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for room, and have it."""
        await self._quick.acquire()
        turn = _Turn(self)
        try:
            yield
        finally:
            turn.end()

    def step_aside(self) -> bool:
        """Give the room of a quick one to another; whether the slow have room."""
        if self._slow >= self._most_slow:
            return False
        self._slow += 1
        self._quick.release()
        return True

    def end(self, *, is_slow: bool) -> None:
        if is_slow:
            self._slow -= 1
        else:
            self._quick.release()


class _Turn:
    """One lookup's room."""

    def __init__(self, turns: _Turns) -> None:
        self._turns = turns
        self._is_slow = False
        self._wait()

    def end(self) -> None:
        self._timer.cancel()
        self._turns.end(is_slow=self._is_slow)

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(QUICK_SECONDS, self._step_aside)

    def _step_aside(self) -> None:
        self._is_slow = self._turns.step_aside()
        if not self._is_slow:
            self._wait()


class Exchangers:
    """MX lookups with a cache. One per event loop."""

    def __init__(self, own_name: str, resolver: str = "") -> None:
        self._own_name = own_name.lower().rstrip(".")
        self._resolver = resolvers.resolver(dns.asyncresolver.Resolver, resolver)
        self._resolver.lifetime = LOOKUP_SECONDS
        self.validation = Validation(self._resolver)
        self._kept: ExpiringDict[str, _Answer] = ExpiringDict(LONGEST_SECONDS, MOST_CACHED)
        self._asking: dict[str, asyncio.Task[_Answer]] = {}
        # Of hosts by their names: thousands of domains have the same ones.
        self._kept_hosts: ExpiringDict[str, _Named] = ExpiringDict(LONGEST_SECONDS, MOST_CACHED)
        self._asking_hosts: dict[str, asyncio.Task[_Named]] = {}
        self._turns = _Turns()

    async def hosts(self, domain: str, *, use_mx: bool = True) -> list[Host]:
        """Addresses in the order to try them, at least one. Raises NoRoute.

        Hosts of equal preference come in another order each time (RFC 5321 5.1). With `use_mx` False the name is a
        host (a route): only its addresses are asked for.
        """
        key = domain if use_mx else f"={domain}"
        answer = self._kept.get(key)
        if answer is None:
            task = self._asking.get(key)
            if task is None:
                task = self._asking[key] = asyncio.ensure_future(self._ask(key, domain, use_mx))
            answer = await asyncio.shield(task)
        if answer.trouble is not None:
            raise answer.trouble
        hosts = list(answer.hosts)
        random.shuffle(hosts)
        hosts.sort(key=lambda host: host[0])
        return [
            replace(address, preference=preference) if preference else address
            for preference, addresses in hosts
            for address in addresses
        ][:MOST_ADDRESSES]

    def names(self, domain: str, hosts: Sequence[Host]) -> Sequence[str]:
        """The names of all hosts of a domain, whichever of them are tried now: `hosts`, as they were just found."""
        answer = self._kept.get(domain)
        return answer.names if answer is not None and answer.names else [host.name for host in hosts]

    async def texts(self, name: str) -> list[str]:
        """The TXT records of `name`. Raises NoRoute."""
        answer = await self._resolve(name, "TXT")
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]

    async def tlsa(self, name: str) -> list[Any] | None:
        """The TLSA records of `name` that were validated, or None where there are none, not even one that is misshapen.

        Not kept: the resolver does that. Raises NoRoute.
        """
        try:
            answer = await self._resolve(name, "TLSA")
        except NoRoute as error:
            if error.permanent:
                return None
            if not misshapen.is_cause_of(error.__cause__):
                raise
            try:
                return await misshapen.ask_again(self._resolver, name, "TLSA")
            except (OSError, TimeoutError, EOFError, dns.exception.DNSException):
                raise error from None
        return list(answer) if answer.rrset is not None and self._is_secure(answer) else None

    async def _ask(self, key: str, domain: str, use_mx: bool) -> _Answer:
        try:
            async with self._turns.turn():
                answer, ttl = await (self._exchangers(domain) if use_mx else self._route(domain))
        except NoRoute as error:
            answer, ttl = _Answer(trouble=error), NOWHERE_SECONDS if error.permanent else FAILURE_SECONDS
        finally:
            self._asking.pop(key, None)
        return self._kept.keep(key, answer, min(max(ttl, SHORTEST_SECONDS), LONGEST_SECONDS))

    async def _route(self, host: str) -> tuple[_Answer, float]:
        try:
            return await self._addresses(host, [(0, host)])
        except NoRoute as error:
            # A slip in a route is the administrator's: mail waits until it is mended.
            raise NoRoute(f"the host of the route: {error.reply}", "4.4.4", permanent=False) from error

    async def _exchangers(self, domain: str) -> tuple[_Answer, float]:
        if domain.startswith("["):
            literal = domain.strip("[]").removeprefix("ipv6:")
            if not _is_ip(literal):
                raise NoRoute(f"{domain} is not an IP address", "5.1.2", permanent=True)
            return _Answer(((0, (Host(literal, literal),)),)), LONGEST_SECONDS
        answer = await self._resolve(domain, "MX")
        is_secure = self._is_secure(answer)
        if answer.rrset is None:
            # No MX: the domain itself is its host (RFC 5321 5.1).
            return await self._addresses(domain, [(0, domain)], () if is_secure else None)
        records = [(record.preference, record.exchange.to_text(omit_final_dot=True).lower()) for record in answer]
        if all(name in ("", ".") for _, name in records):
            raise NoRoute(f"{domain} takes no mail (null MX)", "5.1.10", permanent=True)
        own = [preference for preference, name in records if name == self._own_name]
        if own:
            # Hosts behind us would only bring the mail back (RFC 5321 5.1).
            records = [record for record in records if record[0] < min(own)]
            if not records:
                raise NoRoute(f"mail for {domain} loops back to this server", "5.4.6", permanent=True)
        names = tuple(sorted({name for _, name in records})[:MOST_NAMES])
        random.shuffle(records)
        records.sort(key=lambda record: record[0])
        next_hops = tuple(dict.fromkeys((domain, _text(answer.canonical_name)))) if is_secure else None
        found, host_ttl = await self._addresses(domain, records[:MOST_HOSTS], next_hops)
        return replace(found, names=names), min(answer.rrset.ttl, host_ttl)

    async def _addresses(
        self, domain: str, records: list[tuple[int, str]], next_hops: tuple[str, ...] | None = None
    ) -> tuple[_Answer, float]:
        """The addresses of mail hosts, at least one. Raises NoRoute: for a while, if any of them may still have one.

        `next_hops` are as Secured has them; None when it was not proved that these are the hosts.
        """
        found: list[tuple[int, tuple[Host, ...]]] = []
        trouble: NoRoute | None = None
        until = time.monotonic() + LONGEST_SECONDS
        answers = await asyncio.gather(*(self._host(name) for _, name in records))
        for (preference, name), answer in zip(records, answers, strict=True):
            if answer.trouble is not None and (trouble is None or not answer.trouble.permanent):
                trouble = answer.trouble
            if not answer.ips:
                continue
            until = min(until, answer.until)
            try:
                bases = await self._bases(name, answer) if next_hops is not None else ()
            except NoRoute as error:
                trouble = error
                continue
            secured = Secured(bases, next_hops or ()) if bases else None
            found.append((preference, tuple([Host(name, ip, secured=secured) for ip in answer.ips])))
        ttl = until - time.monotonic()
        if found:
            return _Answer(tuple(found)), ttl
        if trouble is not None and (not trouble.permanent or records == [(0, domain)]):
            raise trouble
        names = ", ".join(name for _, name in records)
        what = (
            f"{domain} has no address" if names == domain else f"the mail hosts of {domain} ({names}) have no address"
        )
        raise NoRoute(f"{what} in the DNS", "5.4.4", permanent=True)

    async def _host(self, name: str) -> _Named:
        """The addresses of one host. Never raises NoRoute."""
        if _is_ip(name):
            return _Named(time.monotonic() + LONGEST_SECONDS, (name,))
        kept = self._kept_hosts.get(name)
        if kept is not None:
            return kept
        task = self._asking_hosts.get(name)
        if task is None:
            task = self._asking_hosts[name] = asyncio.ensure_future(self._ask_host(name))
        return await asyncio.shield(task)

    async def _ask_host(self, name: str) -> _Named:
        ips: list[str] = []
        ttl, trouble = LONGEST_SECONDS, None
        canonical, is_secure = "", False
        try:
            for kind in ("A", "AAAA"):
                answer = await self._resolve(name, kind)
                if answer.rrset is not None:
                    ttl = min(ttl, answer.rrset.ttl)
                    ips += [record.address for record in answer]
                    canonical, is_secure = _text(answer.canonical_name), is_secure or self._is_secure(answer)
        except NoRoute as error:
            trouble = error
        finally:
            self._asking_hosts.pop(name, None)
        if not ips:
            ttl = FAILURE_SECONDS if trouble is not None and not trouble.permanent else NOWHERE_SECONDS
        ttl = max(ttl, SHORTEST_SECONDS)
        named = _Named(time.monotonic() + ttl, tuple(ips), trouble, canonical, is_secure)
        return self._kept_hosts.keep(name, named, ttl)

    async def _bases(self, name: str, found: _Named) -> tuple[str, ...]:
        """Which names of a host may have TLSA records; none when its addresses are not proved. Raises NoRoute.

        Servers of zones that are not signed often can't answer for such records at all, so these are never asked.
        """
        if found.is_secure:
            return tuple(dict.fromkeys((found.canonical, name)))
        if found.canonical in ("", name):
            return ()
        # An alias that leads out of a signed zone: its own name may have some (RFC 7672 2.1.3).
        alias = await self._resolve(name, "CNAME")
        return (name,) if alias.rrset is not None and self._is_secure(alias) else ()

    def _is_secure(self, answer: dns.resolver.Answer) -> bool:
        """Whether a resolver of ours has validated all of it."""
        return self.validation.is_ours and bool(answer.response.flags & dns.flags.AD)

    async def _resolve(self, name: str, kind: str) -> dns.resolver.Answer:
        """The records; its rrset is None when the name has none of this kind. Raises NoRoute."""
        try:
            return await self._resolver.resolve(name, kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as error:
            raise NoRoute(f"the domain {name} does not exist", "5.1.2", permanent=True) from error
        except (dns.exception.DNSException, OSError, ValueError) as error:
            late = isinstance(error, dns.exception.Timeout | TimeoutError)
            reason = "not in time" if late else "its servers failed"
            raise NoRoute(f"the DNS gave no answer for {name}: {reason}", "4.4.3", permanent=False) from error


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
