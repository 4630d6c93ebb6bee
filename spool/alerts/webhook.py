"""Calling a webhook: a signed JSON document, to hosts of the Internet only.

The receiver checks X-Mailspool-Signature: the HMAC-SHA256, under the rule's secret, of X-Mailspool-Timestamp, a dot and
the body. A name is resolved here and the connection made to the very address that was looked at, so that neither a name
that leads inside nor a redirect (none is followed) has us talk to machines that trust us.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import idna
from django.conf import settings as django_settings

from spool.models.alert import webhook_complaint

# For one answer of the network, and for the whole of it.
TIMEOUT_SECONDS = 10.0
MOST_SECONDS = 20.0
MOST_BYTES = 2_000
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotDelivered(Exception):
    """The receiver did not take it; the message says why."""


def post(url: str, document: dict[str, Any], secret: str, now: datetime) -> str:
    """Send `document`; returns the answer in a few words. Raises NotDelivered."""
    if complaint := webhook_complaint(url):
        raise NotDelivered(complaint)
    parts = urlsplit(url)
    assert parts.hostname is not None
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    try:
        host = parts.hostname if parts.hostname.isascii() else idna.encode(parts.hostname, uts46=True).decode()
    except UnicodeError as error:
        raise NotDelivered(f"{parts.hostname} is not a host name: {error}") from error
    address = resolve(host, port, is_tls=is_tls)
    body = json.dumps(document, ensure_ascii=False, sort_keys=True).encode()
    stamp = str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Mailspool",
        "X-Mailspool-Timestamp": stamp,
        "Host": host if parts.port is None else f"{_bracketed(host)}:{port}",
        "Connection": "close",
    }
    if secret:
        headers["X-Mailspool-Signature"] = signature(secret, stamp, body)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        plain = socket.create_connection((str(address), port), TIMEOUT_SECONDS)
        link = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if is_tls else plain
        with closing(link), _cut_off(link):
            connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
            connection.sock = link
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read(MOST_BYTES)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise NotDelivered(f"{host} [{address}]: {error or type(error).__name__}") from error
    if not 200 <= answer.status < 300:
        hint = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        raise NotDelivered(f"{host} [{address}] answered {answer.status} {answer.reason}{hint}")
    return f"{host} [{address}] answered {answer.status}"


@contextmanager
def _cut_off(link: socket.socket) -> Iterator[None]:
    """End a conversation that goes on for too long, however busy it is."""

    def end() -> None:
        with suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(MOST_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def signature(secret: str, stamp: str, body: bytes) -> str:
    """What the receiver computes too."""
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def resolve(host: str, port: int, *, is_tls: bool) -> Address:
    """The address to connect to. Raises NotDelivered when `host` leads anywhere that is not for strangers.

    Without TLS only the networks of MAILSPOOL_WEBHOOK_NETWORKS will do.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"{host} has no address: {error}") from error
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    for address in addresses:
        if is_allowed(address):
            continue
        if not is_public(address):
            raise NotDelivered(
                f"{host} is {address}, which is not an address of the Internet; networks that webhooks may reach all "
                "the same are named in MAILSPOOL_WEBHOOK_NETWORKS"
            )
        if not is_tls:
            raise NotDelivered("A webhook on the Internet needs https://: what it is told is nobody else's business.")
    if not addresses:
        raise NotDelivered(f"{host} has no address")
    return addresses[0]


def is_allowed(address: Address) -> bool:
    """Whether whoever runs this server has named the address's network."""
    networks = [ipaddress.ip_network(text) for text in django_settings.MAILSPOOL_WEBHOOK_NETWORKS]
    return any(address in network for network in networks if network.version == address.version)


def is_public(address: Address) -> bool:
    """Whether it is a host of the Internet; an IPv6 address that stands for an IPv4 one is looked through."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
