"""A DNS in which example.org is a domain of ours, and this host is mail.example.org at 203.0.113.7."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from accounts.models import Domain
from base.name_servers import NameServers
from mailspool.dns_records import asking
from quarantine.engines import authentication, resolver
from spool.signing import lifecycle, ring
from tests.console.conftest import administrator
from tests.support.dns import DNSServer

__all__ = ["administrator"]

DOMAIN, HOST_NAME, ADDRESS = "example.org", "mail.example.org", "203.0.113.7"


@pytest.fixture
def dns(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[DNSServer]:
    with DNSServer() as server:
        settings.MAILSPOOL_DNS, settings.MAILSPOOL_HOSTNAME = server.address, HOST_NAME
        monkeypatch.setattr(asking, "servers", lambda: NameServers(server.address, server.port))
        monkeypatch.setattr(lifecycle, "servers_of_domains", lambda: NameServers(server.address, server.port))
        for zone in (DOMAIN, "113.0.203.in-addr.arpa"):
            server.add(zone, "SOA", f"ns.{DOMAIN}. root.{DOMAIN}. 1 3600 600 86400 60")
            server.add(zone, "NS", f"ns.{DOMAIN}.")
        server.add(f"ns.{DOMAIN}", "A", "127.0.0.1")
        server.add(HOST_NAME, "A", ADDRESS)
        authentication.forget()
        yield server
    ring.forget()
    resolver._blocking.clear()


@pytest.fixture
def domain(db: None) -> Domain:
    return Domain.objects.create(name=DOMAIN)
