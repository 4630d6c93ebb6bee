"""Which IP addresses are this machine's, and which are for nobody to send to who was not told by an administrator."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from django.conf import settings as django_settings

from spool.sockets.listeners import MAIL

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAIL_PORT: Final = 25
# RFC 6052: an IPv4 address behind a translator.
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")


def is_ours(address: str) -> bool:
    """Whether `address` is one of this machine's, whatever interface has it. No query, no wait."""
    found = _parsed(address)
    if found is None or found.is_multicast:
        return False
    family = socket.AF_INET6 if found.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as test:
            # The system lets nobody have an address that it does not have itself.
            test.bind((str(found), 0))
    except OSError:
        return False
    return True


def is_listener(address: str, port: int) -> bool:
    """Whether who connects there reaches a listener for mail of ours.

    Port 25 of this machine is ours wherever we listen: without root it is a firewall's that leads to our own.
    """
    listening = [place for listener in MAIL for place in django_settings.MAILSPOOL_LISTEN[listener.name]]
    return (port == _MAIL_PORT or any(place.port == port for place in listening)) and is_ours(address)


def is_public(address: str) -> bool:
    """Whether `address` means the same host everywhere: no loopback, no private network, no other special one."""
    found = _parsed(address)
    return found is not None and found.is_global and not found.is_multicast


def of_literal(domain: str) -> str:
    """The IP address in a normalised address literal; "" when `domain` is none (RFC 5321 4.1.3)."""
    return domain.strip("[]").removeprefix("ipv6:") if domain.startswith("[") else ""


def _parsed(address: str) -> IPAddress | None:
    """`address` without what IPv6 wraps around IPv4 addresses; None when it is none."""
    try:
        found: IPAddress = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found in _TRANSLATED:
            return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        return found.ipv4_mapped or found.sixtofour or found
    return found
