"""Opening the sockets of addresses, and saying in a sentence why one can't be listened on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from spool.sockets.addresses import EVERY_IPV6, Address
from spool.sockets.listeners import Listener

# Connections that wait while all that are there are being taken, or while a program is being started anew.
BACKLOG = 512
# Sockets by their family, address and port.
_Left = dict[tuple[object, ...], socket.socket]
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class CannotListen(OSError):
    """Why an address can't be listened on, as a sentence; `errno` is the system's."""

    def __init__(self, number: int | None, sentence: str) -> None:
        super().__init__(number, sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def open_sockets(
    addresses: Iterable[Address], listener: Listener, *, shared: bool, kept: Iterable[socket.socket] = ()
) -> list[socket.socket]:
    """A listening socket for each address; with `shared`, other programs of this user may have the same ones.

    Of the `kept` ones those are taken that are already there, and the others closed. Where the machine has no IPv6,
    `::` is left out. Raises CannotListen.
    """
    opened: list[socket.socket] = []
    left = {(one.family, *one.getsockname()[:2]): one for one in kept}
    try:
        for address in addresses:
            try:
                opened += _open_all(address, left, shared=shared)
            except OSError as error:
                if address.host == EVERY_IPV6 and error.errno in _NO_IPV6:
                    continue
                raise CannotListen(error.errno, _why_not(error, address, listener)) from error
    except CannotListen:
        for one in opened:
            one.close()
        raise
    finally:
        for one in left.values():
            one.close()
    return opened


def shown(listening: socket.socket) -> str:
    """Where a socket listens, for people."""
    host, port, *_ = listening.getsockname()
    return str(Address(host, port))


def _open_all(address: Address, left: _Left, *, shared: bool) -> list[socket.socket]:
    """More than one for a name that stands for several; those of its addresses that this machine lacks don't count."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    opened: list[socket.socket] = []
    missing: OSError | None = None
    for family, kind, protocol, _, place in dict.fromkeys(found):
        try:
            there = left.pop((family, *place[:2]), None)
            opened.append(there or _open(family, kind, protocol, place, shared=shared))
        except OSError as error:
            if error.errno in _NO_IPV6 and len(found) > 1:
                missing = error
                continue
            for one in opened:
                one.close()
            raise
    if missing is not None and not opened:
        raise missing
    return opened


def _open(family: int, kind: int, protocol: int, place: tuple[object, ...], *, shared: bool) -> socket.socket:
    one = socket.socket(family, kind, protocol)
    try:
        # Connections of an earlier run that are still winding down are no obstacle.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(place)
        one.listen(BACKLOG)
        one.setblocking(False)
    except OSError:
        one.close()
        raise
    return one


def _why_not(error: OSError, address: Address, listener: Listener) -> str:
    variable = listener.variable
    where = f"Port {address.port} on {address.host}, for {listener.purpose},"
    if isinstance(error, socket.gaierror):
        return f"{address.host} is not an address to listen on: {error.strerror}. Set MAILSPOOL_BIND or {variable}."
    if error.errno == errno.EADDRINUSE:
        return f"{where} is used by another program. Stop that one, or set {variable} to a free port."
    if error.errno == errno.EACCES:
        return f"{where} is only for root (below 1024). Set {variable} to a higher port, or see docs/installing.md."
    if error.errno in _NO_IPV6:
        return f"This machine has no address {address.host}. Set MAILSPOOL_BIND or {variable} to one that it has."
    return f"{where} can't be listened on: {error.strerror}. Set {variable} or MAILSPOOL_BIND."
