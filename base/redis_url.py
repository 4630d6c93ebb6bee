"""Where Redis is, by REDIS_URL: one server, or whichever of several Sentinels say takes writes.

    redis+sentinel://:PASSWORD@HOST:26379,HOST:26379,HOST:26379/NAME/0

`rediss+sentinel://` is TLS with servers and Sentinels alike. A connection that breaks is made anew to the server that
takes writes by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

from redis import ConnectionPool, Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import Sentinel as AsyncSentinel
from redis.sentinel import Sentinel, SentinelConnectionPool

_SCHEMES: Final = {"redis+sentinel": False, "rediss+sentinel": True}
_PORT: Final = 26379
# A Sentinel that does not answer is passed over after that.
_SENTINEL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Those that know the servers named `name`. `password` is the servers', `sentinel_password` their own."""

    hosts: tuple[tuple[str, int], ...]
    name: str
    database: int
    username: str | None
    password: str | None
    sentinel_password: str | None
    tls: bool

    @property
    def of_server(self) -> dict[str, Any]:
        return {"db": self.database, "username": self.username, "password": self.password, **self._encrypted}

    @property
    def of_sentinel(self) -> dict[str, Any]:
        seconds = {"socket_timeout": _SENTINEL_SECONDS, "socket_connect_timeout": _SENTINEL_SECONDS}
        return {"password": self.sentinel_password, **seconds, **self._encrypted}

    @property
    def _encrypted(self) -> dict[str, Any]:
        return {"ssl": True} if self.tls else {}


def sentinels(url: str) -> Sentinels | None:
    """The Sentinels that a URL names; None when it names a server. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        return None
    credentials, _, places = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    name, _, database = parts.path.strip("/").partition("/")
    if not name or not places:
        raise ValueError("it names no Sentinel, or not whom they watch")
    of_sentinel = parse_qs(parts.query, strict_parsing=bool(parts.query))
    if of_sentinel.keys() - {"sentinel_password"}:
        raise ValueError("its only option is sentinel_password")
    return Sentinels(
        tuple(_host_and_port(place) for place in places.split(",")),
        unquote(name),
        int(database or 0),
        unquote(username) or None,
        unquote(password) or None,
        of_sentinel.get("sentinel_password", [None])[0],
        _SCHEMES[parts.scheme],
    )


def _host_and_port(place: str) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("one of its Sentinels has no host")
    return parts.hostname, parts.port or _PORT


def client(url: str, **options: Any) -> Redis:
    """A client with a pool of its own; `options` are a connection's, as socket_timeout in seconds."""
    found = sentinels(url)
    if found is None:
        return Redis.from_url(url, **options)
    served = _manager(found).master_for(found.name, **found.of_server, **options)  # type: ignore[no-untyped-call]
    return cast("Redis", served)


def async_client(url: str, **options: Any) -> AsyncRedis:
    """The same for an event loop."""
    found = sentinels(url)
    if found is None:
        return AsyncRedis.from_url(url, **options)
    manager = AsyncSentinel(list(found.hosts), sentinel_kwargs=found.of_sentinel)  # type: ignore[no-untyped-call]
    return cast("AsyncRedis", manager.master_for(found.name, **found.of_server, **options))


def pool(
    url: str, of_server: type[ConnectionPool], of_sentinels: type[SentinelConnectionPool], **options: Any
) -> ConnectionPool:
    """A pool of one of these kinds."""
    found = sentinels(url)
    if found is None:
        return of_server.from_url(url, **options)
    return of_sentinels(found.name, _manager(found), **found.of_server, **options)


def queue(connection: dict[str, Any]) -> dict[str, Any]:
    """`connection`, with its "URL", as django-rq has it."""
    found = sentinels(str(connection["URL"]))
    if found is None:
        return connection
    rest = {name: value for name, value in connection.items() if name != "URL"}
    return {
        **rest,
        "SENTINELS": list(found.hosts),
        "MASTER_NAME": found.name,
        "CONNECTION_KWARGS": found.of_server,
        "SENTINEL_KWARGS": found.of_sentinel,
    }


def _manager(found: Sentinels) -> Sentinel:
    return Sentinel(list(found.hosts), sentinel_kwargs=found.of_sentinel)  # type: ignore[no-untyped-call]
