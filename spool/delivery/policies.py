"""TLS policies for whoever shows them: MTA-STS as others find it (RFC 8461 3), and whether DANE is in effect here."""

from __future__ import annotations

import asyncio
from typing import Final

import dns.asyncresolver

from base import resolvers
from spool.delivery.remote.mta_sts import HTTPS_PORT, Policy, parse_record
from spool.delivery.remote.policy_fetch import NotFetched, fetch
from spool.delivery.remote.validation import State, Validation

__all__ = ["NotFetched", "Policy", "State", "fetched_from", "parse_record", "tried_resolver"]

MOST_NAMED: Final = 3


def fetched_from(host: str, ip: str) -> str:
    """The text that an address of a host serves by HTTPS, with a valid certificate. Raises NotFetched.

    For threads: it has an event loop of its own.
    """
    return asyncio.run(fetch(host, ip, HTTPS_PORT))


def tried_resolver(address: str = "") -> tuple[str, State]:
    """What the resolver that delivery asks is called, and whether it validates. Asks it; for threads."""
    resolver = resolvers.resolver(dns.asyncresolver.Resolver, address)
    named = address or " ".join(str(server) for server in resolver.nameservers[:MOST_NAMED])
    return named, asyncio.run(Validation(resolver).state())
