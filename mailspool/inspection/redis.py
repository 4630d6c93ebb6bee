"""Redis: that it answers, takes what is written, and can be reached by nobody else."""

from __future__ import annotations

import ipaddress
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from redis import Redis
from redis.connection import parse_url
from redis.exceptions import AuthenticationError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from base import redis_url
from mailspool.inspection.findings import Finding, fault, first_line, ok, warning

PATIENCE_SECONDS = 3.0
_WHY = "who can write to Redis runs programs as Mailspool's user"
_PROBE = "mailspool:check"


def redis() -> Iterator[Finding]:
    """Whether it can be used, and by whom."""
    url = str(settings.RQ_CONNECTION["URL"])
    client = redis_url.client(url, socket_connect_timeout=PATIENCE_SECONDS, socket_timeout=PATIENCE_SECONDS)
    try:
        yield from _answers(client)
    except AuthenticationError as error:
        yield fault("redis", f"It refuses the password of REDIS_URL: {first_line(error)}.")
    except ResponseError as error:
        yield fault("redis", f"It takes nothing: {first_line(error)}. {_remedy(error)}")
    except RedisError as error:
        if settings.REDIS_IS_EMBEDDED:
            yield warning("redis", "The embedded one does not run: it does while `make run` does.")
        else:
            yield fault("redis", f"It can't be used: {first_line(error)}. Is it running, and is REDIS_URL right?")
    finally:
        client.close()
    if not settings.REDIS_IS_EMBEDDED:
        yield from _trust(url)


def _answers(client: Redis) -> Iterator[Finding]:
    began = time.time()
    # A key of its own, which lapses: a full disk or a read-only replica shows only when something is written.
    client.set(_PROBE, "1", ex=10)
    server: Any = client.info("server")
    yield ok("redis", f"Version {server.get('redis_version', 'unknown')} answers and takes what is written.")
    memory: Any = client.info("memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if memory.get("maxmemory") and policy != "noeviction":
        yield warning("redis", f"It drops keys when its memory is full ({policy}): set maxmemory-policy noeviction.")
    seconds, microseconds = client.time()
    apart = abs(seconds + microseconds / 1e6 - began)
    if apart > 2 * PATIENCE_SECONDS:
        yield warning("clock", f"Redis's clock and this machine's are {apart:.0f} s apart: have both kept right (NTP).")


def _trust(url: str) -> Iterator[Finding]:
    if (watched := redis_url.sentinels(url)) is not None:
        parts: dict[str, Any] = {"host": watched.hosts[0][0], "password": watched.password}
    else:
        parts = parse_url(url)  # type: ignore[no-untyped-call]
    if "path" in parts:
        yield from _socket(Path(parts["path"]))
        return
    host, encrypted = str(parts.get("host", "localhost")), urlsplit(url).scheme.startswith("rediss")
    if not parts.get("password"):
        if _is_loopback(host):
            yield warning(
                "redis",
                f"Any program on this machine reaches it without a password: {_WHY}. Use its socket or requirepass.",
            )
        else:
            yield fault(
                "redis",
                f"It is reached at {host} without a password: {_WHY}. Set requirepass, and say it in REDIS_URL.",
            )
    elif not encrypted and not _is_loopback(host):
        yield warning("redis", f"Its password goes to {host} in clear text: rediss:// encrypts it.")


def _socket(path: Path) -> Iterator[Finding]:
    try:
        mode, folder_mode = path.stat().st_mode, path.parent.stat().st_mode
    except OSError:
        # That it can't be reached was said.
        return
    if mode & stat.S_IWOTH and folder_mode & stat.S_IXOTH:
        yield fault("redis", f"Everybody on this machine may open {path}, and {_WHY}. Set unixsocketperm 770.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _remedy(error: ResponseError) -> str:
    if "MISCONF" in str(error):
        return "Its file can't be saved: look at its log, its disk and the rights of its folder."
    if isinstance(error, ReadOnlyError):
        return "It is a replica: REDIS_URL must name the one that it copies."
    if isinstance(error, OutOfMemoryError):
        return "Its memory is full: raise maxmemory."
    return "Its log says more."
