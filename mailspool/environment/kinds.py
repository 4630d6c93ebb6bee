"""The kinds of values: each takes a variable's text and returns what it means, or raises Wrong with what is right."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from accounts.addresses import InvalidAddress, normalise_address, normalise_domain
from base.buckets import Bucket
from spool.events import formats, outlets
from spool.sockets import addresses

T = TypeVar("T")
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
_ENGINES = {"postgres": "postgresql", "postgresql": "postgresql", "sqlite": "sqlite3"}
# Closing one of these to all others would close the machine.
_OF_THE_SYSTEM = frozenset(
    [
        "/",
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/home",
        "/lib",
        "/media",
        "/mnt",
        "/opt",
        "/proc",
        "/root",
        "/run",
        "/sbin",
        "/srv",
        "/sys",
        "/tmp",  # noqa: S108
        "/usr",
        "/usr/local",
        "/var",
        "/var/cache",
        "/var/lib",
        "/var/log",
        "/var/mail",
        "/var/spool",
        "/var/tmp",  # noqa: S108
    ]
)
_OPTIONS_OF_DJANGO = {"assume_role", "isolation_level", "pool", "prepare_threshold", "server_side_binding"}
_EXAMPLE_DATABASE = "as in postgres://user:password@host/name or postgres://user@/name?host=/run/postgresql"
_EXAMPLE_REDIS = "as in unix:///run/redis/redis-server.sock?db=0 or redis://:password@host:6379/0"

_EXAMPLE_BUCKET = "as in https://s3.internal:9000/mail or s3://mail/mailspool"
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_LONGEST_PREFIX = 200
_EXAMPLE_SENTINELS = "redis+sentinel://:password@host:26379,host:26379/name/0"


class Wrong(ValueError):
    """Why a text is no such value: the end of a sentence, without its full stop. Never repeats a secret."""


def text(value: str) -> str:
    """Any text on one line."""
    if not value.isprintable():
        raise Wrong("it has characters that can't be shown")
    return value


def yes_or_no(value: str) -> bool:
    """A choice."""
    if value.lower() in _YES:
        return True
    if value.lower() in _NO:
        return False
    raise Wrong("it must be yes or no")


def number(least: int, most: int, what: str) -> Callable[[str], int]:
    """A whole number between the two; `what` is its name with an article."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            raise Wrong(f"{what} is a number from {least} to {most}")
        return int(value)

    return parse


port = number(1, 65535, "a port")


def one_of(*choices: str) -> Callable[[str], str]:
    """One of a few words, in upper case or not."""

    def parse(value: str) -> str:
        if value.upper() not in choices:
            raise Wrong(f"it must be {', '.join(choices[:-1])} or {choices[-1]}{_perhaps(value.upper(), choices)}")
        return value.upper()

    return parse


def store(value: str) -> str:
    """Where messages are kept."""
    if value.lower() not in ("files", "database"):
        raise Wrong("it must be files or database")
    return value.lower()


def log_place(value: str) -> str:
    """Where the mail log goes."""
    try:
        outlets.chosen(text(value), "text")
    except outlets.NoSuchPlace as error:
        raise Wrong(str(error)) from None
    return value


def log_form(value: str) -> str:
    """What its lines are."""
    if value.lower() not in formats.FORMS:
        raise Wrong("it must be text or json")
    return value.lower()


def path(value: str) -> Path:
    """The path of a file or folder."""
    if "\0" in value or not value.isprintable():
        raise Wrong("a path has no characters that can't be shown")
    if value.startswith("~"):
        raise Wrong("the ~ means nothing here: write the whole path")
    return Path(value)


def folder(value: str) -> Path:
    """A folder, which may be missing yet."""
    at = path(value)
    if os.path.normpath(at) in _OF_THE_SYSTEM:
        raise Wrong(f"that folder is not for Mailspool alone: give it one of its own, as {at / 'mailspool'}")
    try:
        if at.exists() and not at.is_dir():
            raise Wrong("that is a file, and must be a folder")
    except OSError:
        # A folder that can't be looked into: who opens it says so.
        pass
    return at


def domain(value: str) -> str:
    """A host's name."""
    try:
        return normalise_domain(value)
    except InvalidAddress:
        raise Wrong("that is not a host's name, as mail.example.org is") from None


def address(value: str) -> str:
    """An e-mail address."""
    try:
        return normalise_address(value)
    except InvalidAddress as error:
        raise Wrong(str(error)) from None


def listening_hosts(value: str) -> tuple[str, ...]:
    """Addresses and names of this machine."""
    try:
        return addresses.hosts(value)
    except addresses.WrongAddress as error:
        raise Wrong(str(error)) from None


def listening_places(value: str) -> tuple[addresses.Place, ...]:
    """Ports of this machine, with addresses or without; 0 for none."""
    try:
        return addresses.places(value)
    except addresses.WrongAddress as error:
        raise Wrong(str(error)) from None


def console_places(value: str) -> tuple[addresses.Place, ...]:
    """Ports of this machine, one at least."""
    some = listening_places(value)
    if not some:
        raise Wrong("the console can't be turned off: give it a port")
    return some


def network(value: str) -> str:
    """A network, or one address."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        containing = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise Wrong(f"{value!r} is not a network, as 10.1.0.0/16 and 2001:db8::/48 are") from None
    raise Wrong(f"{value} is an address inside the network {containing}: write {containing}, or the address alone")


def host(value: str) -> str:
    """What a browser may call the console: a name, `.example.org` for all below it, an address, or * for anything."""
    try:
        found = ipaddress.ip_address(value.strip("[]"))
        return f"[{found}]" if found.version == 6 else str(found)
    except ValueError:
        pass
    if value == "*":
        return value
    if "/" in value or re.search(r":[0-9]*$", value):
        raise Wrong(f"{value!r} must be a name alone, without https:// and without a port")
    return ("." if value.startswith(".") else "") + domain(value.removeprefix("."))


def origin(value: str) -> str:
    """Scheme and host, as a browser sends them."""
    try:
        parts = urlsplit(value)
        is_origin = parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.path.strip("/")
    except ValueError:
        is_origin = False
    if not is_origin or parts.query:
        raise Wrong(f"{value!r} is not an origin, as https://mail.example.org is")
    return f"{parts.scheme}://{parts.netloc}"


def several(kind: Callable[[str], T]) -> Callable[[str], list[T]]:
    """Any number of them, with commas between."""

    def parse(value: str) -> list[T]:
        return [kind(word.strip()) for word in value.split(",") if word.strip()]

    return parse


def server(value: str) -> str:
    """host:port of a server that is asked."""
    name, colon, number_of_port = value.rpartition(":")
    if not colon or not name or (":" in name and not name.startswith("[")):
        raise Wrong("it must be host:port, as in 127.0.0.1:53")
    port(number_of_port)
    return value


def web_address(value: str) -> str:
    """The URL of a service that speaks HTTP."""
    try:
        parts = urlsplit(value)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known:
        raise Wrong("it must be a URL, as http://127.0.0.1:8080 is")
    return value


def bucket(value: str) -> Bucket:
    """A bucket of a store that speaks S3: `https://host/bucket/prefix`, or `s3://bucket/prefix` of Amazon's."""
    parts = urlsplit(value)
    try:
        is_there = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_there = False
    names = [part for part in parts.path.split("/") if part]
    if parts.scheme == "s3":
        names = [parts.hostname or "", *names]
    if not is_there or parts.scheme not in ("s3", "https", "http") or not names or parts.query or parts.fragment:
        raise Wrong(f"it must name a bucket, {_EXAMPLE_BUCKET}")
    if parts.username is not None or parts.password is not None:
        raise Wrong("who logs in there is said by MAILSPOOL_S3_KEY and MAILSPOOL_S3_SECRET, not in the URL")
    if not _BUCKET_NAME.fullmatch(names[0]):
        raise Wrong(f"{names[0]!r} can't be a bucket: it has 3 to 63 lower-case letters, digits, dots and hyphens")
    if any(not _PREFIX_NAME.fullmatch(name) for name in names[1:]) or len("/".join(names[1:])) > _LONGEST_PREFIX:
        raise Wrong("the path behind the bucket has letters, digits, dots, hyphens and _, 200 at most")
    endpoint = "" if parts.scheme == "s3" else f"{parts.scheme}://{parts.netloc}"
    return Bucket(endpoint, names[0], "/".join(names[1:]))


def database(value: str) -> dict[str, Any]:
    """A database as Django's DATABASES has it."""
    import environ

    scheme, there, rest = value.partition("://")
    if not there or scheme not in _ENGINES:
        raise Wrong(f"Mailspool runs on PostgreSQL and on SQLite: give a URL, {_EXAMPLE_DATABASE}")
    try:
        found: dict[str, Any] = environ.Env.db_url_config(value)
    except ValueError as error:
        raise Wrong(f"{_without_value(error)}; it must be a URL, {_EXAMPLE_DATABASE}") from None
    if _ENGINES[scheme] == "postgresql":
        _check_options(found.get("OPTIONS", {}))
    if not found.get("NAME"):
        raise Wrong(f"the name of the database is missing, {_EXAMPLE_DATABASE}")
    if scheme == "sqlite" and not rest.startswith("//") and found["NAME"] != ":memory:":
        raise Wrong("the path of an SQLite file is whole and begins with a fourth slash: sqlite:////srv/mail.sqlite3")
    return found


def _check_options(options: dict[str, Any]) -> None:
    """libpq looks at what follows the question mark only when it connects, and then it is no database that is away."""
    from psycopg import Error
    from psycopg.conninfo import timeout_from_conninfo
    from psycopg.pq import Conninfo

    known = {option.keyword.decode() for option in Conninfo.get_defaults()} | _OPTIONS_OF_DJANGO
    for name in options:
        if name not in known:
            raise Wrong(f"PostgreSQL has no option {name}{_perhaps(name, sorted(known))}")
    try:
        timeout_from_conninfo({"connect_timeout": options.get("connect_timeout", 5)})
    except Error:
        raise Wrong("its connect_timeout is not a number of seconds") from None


def redis(value: str) -> str:
    """A Redis's URL."""
    from redis.connection import ConnectionPool, parse_url

    from base import redis_url

    try:
        if redis_url.sentinels(value) is not None:
            return value
    except ValueError:
        raise Wrong(f"of Sentinels it must be {_EXAMPLE_SENTINELS}") from None
    try:
        found = parse_url(value)  # type: ignore[no-untyped-call]
        # Nothing is connected by that.
        ConnectionPool.from_url(value).make_connection()
    except ValueError as error:
        raise Wrong(f"{_without_value(error)}; it must be a URL, {_EXAMPLE_REDIS}") from None
    except TypeError:
        raise Wrong(f"one of its options is none that Redis's client has; it must be a URL, {_EXAMPLE_REDIS}") from None
    if not found.get("path" if value.startswith("unix:") else "host"):
        raise Wrong(f"it says no {'path' if value.startswith('unix:') else 'host'}, {_EXAMPLE_REDIS}")
    return value


def time_zone(value: str) -> str:
    """A time zone of the machine's database."""
    name = value.removeprefix(":")
    if name.startswith("/"):
        # As containers set it: /etc/localtime, a link to the zone's file.
        name = str(Path(name).resolve()).partition("/zoneinfo/")[2]
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError, RecursionError):
        known = sorted(zoneinfo.available_timezones())
        raise Wrong(f"there is no such time zone; one is Europe/Berlin{_perhaps(name, known)}") from None
    return name


def _perhaps(value: str, known: tuple[str, ...] | list[str]) -> str:
    close = difflib.get_close_matches(value, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _without_value(error: ValueError) -> str:
    """What a parser of URLs says, without the text that it quotes, which could be a part of a password."""
    words = str(error).rstrip(".")
    if "port" in words.lower():
        return "its port is not a number from 1 to 65535"
    if "db" in words:
        return "its db is not a number"
    return "it can't be read"
