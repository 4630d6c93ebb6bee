"""What all sessions of one listener process share: settings, limits, the committer, and counts of what happened."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from collections import Counter
from dataclasses import dataclass

from django.conf import settings as django_settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from spool.delivery.routes import RoutingTable, cached_table
from spool.intake import Committer
from spool.models.settings import Settings, current, parse_networks
from spool.smtpd.checks import CheckChain
from spool.smtpd.tls import server_context

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Port:
    """One listening port: `submission` wants a login, `implicit_tls` speaks TLS from the first byte."""

    number: int
    submission: bool = False
    implicit_tls: bool = False


class Shared:
    """Loop thread only. `refresh` keeps it no more than a second behind the console."""

    def __init__(self, committer: Committer) -> None:
        self.hostname: str = django_settings.MAILSPOOL_HOSTNAME
        self.committer = committer
        self.checks = CheckChain()
        self.counters: Counter[str] = Counter()
        self.per_ip: Counter[str] = Counter()
        self.connections = 0
        self.stopping = False
        self.settings = Settings()
        self.routes = RoutingTable()
        self.bypass: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
        self.tls: ssl.SSLContext
        self._bypass_text = ""
        self._certificate: tuple[str, str] | None = None

    async def refresh(self) -> None:
        """Read settings and routes; a broken certificate leaves the one in use."""
        self.settings, self.routes = await asyncio.to_thread(_read)
        if self.settings.bypass_networks != self._bypass_text:
            self._bypass_text = self.settings.bypass_networks
            self.bypass = parse_networks(self._bypass_text)
        certificate = (self.settings.tls_certificate, self.settings.tls_key)
        if certificate != self._certificate:
            self.load_certificate()
            self._certificate = certificate

    def load_certificate(self) -> None:
        """Raises OSError or SSLError when there is none to go on with."""
        try:
            self.tls = server_context(self.settings)
        except (OSError, ssl.SSLError) as error:
            if not hasattr(self, "tls"):
                raise
            log.error("the TLS certificate can't be used, the old one stays: %s", error)

    async def keep_fresh(self) -> None:
        """Refresh once a second, for ever."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except DatabaseError as error:
                log.warning("the settings could not be read, the old ones stay: %s", error)

    def is_bypassed(self, ip: str) -> bool:
        """Whether the client may relay without a login."""
        if not self.bypass:
            return False
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            return False
        return any(address in network for network in self.bypass)


def _read() -> tuple[Settings, RoutingTable]:
    close_old_connections()
    return current(), cached_table()
