"""The country of an IP address, by a database that an administrator supplies (MAILSPOOL_GEOIP_DATABASE, .mmdb).

Read are MaxMind's GeoLite2 and GeoIP2 (Country, City), DB-IP's lite ones and IPinfo's. Without one, or with one that
can't be read, no address has a country; nothing else depends on it.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import maxminddb
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning

log = logging.getLogger(__name__)


def country_of(address: str) -> str:
    """Its name in English, or the two letters of ISO 3166; empty where it is not known."""
    reader = _reader()
    if reader is None:
        return ""
    try:
        found: Any = reader.get(address)
    except (ValueError, maxminddb.InvalidDatabaseError):
        # No IP address, an IPv6 address in a database of IPv4, or a damaged database.
        return ""
    return _name(found) if isinstance(found, dict) else ""


def unreadable(app_configs: object = None, **kwargs: object) -> list[CheckMessage]:
    """Say at the start that the database is not what it should be (a system check)."""
    path = django_settings.MAILSPOOL_GEOIP_DATABASE
    if not path:
        return []
    try:
        _open(Path(path))
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        return [
            Warning(
                f"The countries of IP addresses can't be told: {error}",
                hint="MAILSPOOL_GEOIP_DATABASE is the path of a database in MaxMind's format (.mmdb).",
                id="throttling.W001",
            )
        ]
    return []


def _reader() -> maxminddb.Reader | None:
    path = django_settings.MAILSPOOL_GEOIP_DATABASE
    if not path:
        return None
    try:
        # Another file at the same place is another one: they come anew each month.
        return _kept(path, Path(path).stat().st_mtime_ns)
    except OSError as error:
        log.warning("the countries of IP addresses can't be told: %s", error)
        return None


@lru_cache(1)
def _kept(path: str, changed: int) -> maxminddb.Reader | None:
    try:
        return _open(Path(path))
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        log.warning("the countries of IP addresses can't be told: %s", error)
        return None


def _open(path: Path) -> maxminddb.Reader:
    # Into memory: a file that is overwritten while it is mapped would end the process.
    return maxminddb.open_database(path, maxminddb.MODE_MEMORY)


def _name(record: dict[str, Any]) -> str:
    country = record.get("country") or record.get("registered_country") or record.get("country_code") or ""
    if isinstance(country, dict):
        names = country.get("names")
        country = (names.get("en") if isinstance(names, dict) else "") or country.get("iso_code") or ""
    return str(country)[:60]
