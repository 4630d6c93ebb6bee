"""Smart hosts and gateways: which route, if any, mail for a domain takes instead of the DNS."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from base.sealed import CannotUnseal, unseal
from base.short_cache import ShortCache
from spool.models.route import Route, RouteKind, TLSPolicy

FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class NextHop:
    """An enabled route, its password readable."""

    host: str
    port: int
    tls: TLSPolicy
    username: str
    password: str
    source_address: str
    max_connections: int


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """All enabled routes, by domain pattern."""

    hops: dict[str, NextHop] = field(default_factory=dict)
    gateways: frozenset[str] = frozenset()

    def route_for(self, domain: str) -> NextHop | None:
        """The route of the domain itself, of the nearest `*.parent`, or of `*`."""
        if not self.hops:
            return None
        for pattern in _patterns(domain):
            if pattern in self.hops:
                return self.hops[pattern]
        return self.hops.get("*")

    def is_gateway(self, domain: str) -> bool:
        """Whether mail for `domain` is accepted from anyone, to be handed on."""
        return bool(self.gateways) and any(pattern in self.gateways for pattern in _patterns(domain))


def _patterns(domain: str) -> list[str]:
    labels = domain.lower().split(".")
    return [domain.lower(), *("*." + ".".join(labels[i:]) for i in range(1, len(labels)))]


def load() -> RoutingTable:
    """The routes as they are now: one query."""
    hops: dict[str, NextHop] = {}
    gateways = set()
    for route in Route.objects.filter(enabled=True):
        try:
            password = unseal(route.sealed_password) if route.sealed_password else ""
        except CannotUnseal:
            password = ""
        hops[route.domain] = NextHop(
            route.host,
            route.port,
            route.policy,
            route.username,
            password,
            route.source_address,
            route.max_connections,
        )
        if route.kind == RouteKind.GATEWAY:
            gateways.add(route.domain)
    return RoutingTable(hops, frozenset(gateways))


class BadNextHop(ValueError):
    """The text is no host; the message says what would be."""


def split_host(text: str, default_port: int) -> tuple[str, int]:
    """(host, port) of `mail.example.org`, `192.0.2.1:2525` or `[2001:db8::1]:25`. Raises BadNextHop."""
    text = text.strip()
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?", text)
    try:
        if found is None:
            return str(ipaddress.IPv6Address(text)), default_port
        host = str(ipaddress.IPv6Address(found[1])) if found[1] else found[2]
        port = int(found[3] or default_port)
        if len(host) <= 253 and not host.startswith((".", "-")) and 0 < port < 65536:
            return host, port
    except ValueError:
        pass
    raise BadNextHop(f"{text[:80]!r} is not a host; write mail.example.org, 192.0.2.1:2525 or [2001:db8::1]:25.")


_table = ShortCache(FRESH_SECONDS, load)


def cached_table() -> RoutingTable:
    """The routes, read at most once a second per process. May query: not for event loops."""
    return _table.current()


def forget() -> None:
    """Drop this process's copy."""
    _table.forget()
