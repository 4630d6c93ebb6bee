"""Questions to the DNS for the checks: the resolver of MAILSPOOL_DNS or of the system, answers kept by their TTL."""

from __future__ import annotations

import asyncio

import dns.asyncresolver
import dns.exception
import dns.resolver
import dns.reversename
from django.conf import settings as django_settings

from base import resolvers
from quarantine.engines.answers import EngineFailed

MOST_CACHED = 10_000
_kept: dict[str, dns.asyncresolver.Resolver] = {}
_blocking: dict[str, dns.resolver.Resolver] = {}


def _resolver() -> dns.asyncresolver.Resolver:
    address = str(django_settings.MAILSPOOL_DNS)
    if address not in _kept:
        resolver = resolvers.resolver(dns.asyncresolver.Resolver, address)
        resolver.cache = dns.resolver.LRUCache(MOST_CACHED)
        _kept.clear()
        _kept[address] = resolver
    return _kept[address]


def blocking_resolver() -> dns.resolver.Resolver:
    """The same for threads, with a cache for all of them."""
    address = str(django_settings.MAILSPOOL_DNS)
    if address not in _blocking:
        resolver = resolvers.resolver(dns.resolver.Resolver, address)
        resolver.cache = dns.resolver.LRUCache(MOST_CACHED)
        _blocking.clear()
        _blocking[address] = resolver
    return _blocking.get(address) or blocking_resolver()


async def ask(name: str, kind: str, seconds: float) -> list[str]:
    """The records of `name` as text, none when there are none. Raises EngineFailed when the DNS gives no answer."""
    try:
        answer = await _resolver().resolve(name, kind, search=False, lifetime=seconds)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise EngineFailed(f"the DNS gave no answer for {name} ({type(error).__name__})") from error
    if kind == "TXT":
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
    return [record.to_text().rstrip(".").lower() for record in answer]


async def exists(name: str, seconds: float) -> bool:
    """Whether the DNS has an address or a mail host of that name (RFC 9989 3.2.13). Raises EngineFailed."""
    answers = await asyncio.gather(*(ask(name, kind, seconds) for kind in ("A", "AAAA", "MX")))
    return any(answers)


async def names_of(ip: str, seconds: float) -> list[str]:
    """What an address is called (PTR). Raises EngineFailed."""
    return await ask(dns.reversename.from_address(ip).to_text(), "PTR", seconds)
