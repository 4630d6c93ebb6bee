"""Posting to a web server that somebody named: to hosts of the Internet only, no redirects, bounds of time and size.

A name is resolved here and the connection made to the very address that was looked at, so that neither a name that
leads inside nor a redirect (none is followed) has us talk to machines that trust us.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

import idna

# For one answer of the network, and for the whole of it.
TIMEOUT_SECONDS = 10.0
MOST_SECONDS = 20.0
MOST_BYTES = 2_000
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotDelivered(Exception):
    """The receiver did not take it; the message says why."""


class NotPublic(NotDelivered):
    """It is not on the Internet."""


def post(url: str, body: bytes, headers: Mapping[str, str], networks: Iterable[str] = ()) -> str:
    """Send `body`; returns the answer in a few words. Raises NotDelivered.

    `url` begins with http:// or https:// and names a host. `networks` may be reached although they are not the
    Internet's; only there http:// will do.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    is_tls = parts.scheme == "https"
    try:
        port = parts.port or (443 if is_tls else 80)
        host = parts.hostname if parts.hostname.isascii() else idna.encode(parts.hostname, uts46=True).decode()
    except (UnicodeError, ValueError) as error:
        raise NotDelivered(f"{parts.hostname} is not a host name: {error}") from error
    address = resolve(host, port, is_tls=is_tls, networks=networks)
    said = {
        "User-Agent": "Mailspool",
        "Host": host if parts.port is None else f"{_bracketed(host)}:{port}",
        "Connection": "close",
        **headers,
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        plain = socket.create_connection((str(address), port), TIMEOUT_SECONDS)
        link = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if is_tls else plain
        with closing(link), _cut_off(link):
            connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
            connection.sock = link
            connection.request("POST", path, body, said)
            answer = connection.getresponse()
            answer.read(MOST_BYTES)
    except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
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


def resolve(host: str, port: int, *, is_tls: bool, networks: Iterable[str] = ()) -> Address:
    """The address to connect to. Raises NotDelivered when `host` leads anywhere that is not for strangers.

    Without TLS only one of `networks` will do.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"{host} has no address: {error}") from error
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    allowed = [ipaddress.ip_network(text) for text in networks]
    for address in addresses:
        if any(address in network for network in allowed if network.version == address.version):
            continue
        if not is_public(address):
            raise NotPublic(f"{host} is {address}, which is not an address of the Internet")
        if not is_tls:
            raise NotDelivered("On the Internet https:// is needed: what is sent is nobody else's business.")
    if not addresses:
        raise NotDelivered(f"{host} has no address")
    return addresses[0]


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
