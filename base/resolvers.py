"""Resolvers of the DNS: the one at an address, or this machine's own."""

from __future__ import annotations

import logging
from typing import Final, TypeVar

import dns.resolver

RESOLV_CONF: Final = "/etc/resolv.conf"

log = logging.getLogger(__name__)

R = TypeVar("R", bound=dns.resolver.BaseResolver)


def resolver(kind: type[R], address: str = "") -> R:
    """A resolver of that class, for threads or for event loops, that asks `host:port`; empty is this machine's own."""
    if address:
        return _at(kind, address)
    try:
        return kind(RESOLV_CONF)
    except dns.resolver.NoResolverConfiguration as error:
        # As resolv.conf(5) has it. Local mail needs no DNS: it must not wait for one.
        log.warning("%s names no resolver (%s): asking the one on this machine", RESOLV_CONF, error)
        return _at(kind, "127.0.0.1:53")


def _at(kind: type[R], address: str) -> R:
    found = kind(configure=False)
    host, _, port = address.rpartition(":")
    found.nameservers = [host.strip("[]")]
    found.port = int(port)
    return found
