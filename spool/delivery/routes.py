"""Smart hosts and gateways: which route, if any, mail for a domain takes instead of the DNS."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from spool.delivery.sealed import CannotUnseal, unseal
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
            route.host, route.port, TLSPolicy(route.tls), route.username, password, route.source_address,
            route.max_connections,
        )  # fmt: skip
        if route.kind == RouteKind.GATEWAY:
            gateways.add(route.domain)
    return RoutingTable(hops, frozenset(gateways))


_kept: tuple[float, RoutingTable] | None = None


def cached_table() -> RoutingTable:
    """The routes, read at most once a second per process. May query: not for event loops."""
    global _kept
    now = time.monotonic()
    if _kept is None or now - _kept[0] >= FRESH_SECONDS:
        _kept = (now, load())
    return _kept[1]


def forget() -> None:
    """Drop this process's copy."""
    global _kept
    _kept = None
