"""The ports: free, or ours already."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

from django.conf import settings

from mailspool.inspection.findings import Finding, fault, ok
from spool.sockets.addresses import Address
from spool.sockets.binding import CannotListen, open_sockets
from spool.sockets.listeners import EVERY, SMTPS, WEB, Listener

PATIENCE_SECONDS = 3.0


def ports() -> Iterator[Finding]:
    """Each address that a listener is to listen on."""
    for listener in EVERY:
        for address in settings.MAILSPOOL_LISTEN[listener.name]:
            yield _examine(listener, address)


def _examine(listener: Listener, address: Address) -> Finding:
    try:
        for one in open_sockets([address], listener, shared=False):
            one.close()
    except CannotListen as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES) and _is_ours(listener, address.reachable):
            return ok("ports", f"Mailspool listens on {address} for {listener.purpose}.")
        if error.errno == errno.EACCES:
            # The units may, by a capability that this command hasn't.
            return ok("ports", f"Nobody of ours listens on {address} for {listener.purpose} yet.")
        return fault("ports", error.sentence)
    return ok("ports", f"{address} is free for {listener.purpose}.")


def _is_ours(listener: Listener, address: Address) -> bool:
    """Whether what listens there says that it is this Mailspool."""
    try:
        with socket.create_connection((address.host, address.port), timeout=PATIENCE_SECONDS) as plain:
            if listener is WEB:
                plain.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                return b"\nMailspool " in _read(plain)
            if listener is SMTPS:
                # Whose certificate it is, is another question.
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                with context.wrap_socket(plain) as encrypted:
                    return _greets(_read(encrypted))
            return _greets(_read(plain))
    except OSError:
        return False


def _read(connection: socket.socket) -> bytes:
    """What it says first, or all that it says."""
    said = b""
    while len(said) < 4096 and not (said.startswith(b"2") and b"\n" in said):
        part = connection.recv(4096)
        if not part:
            break
        said += part
    return said


def _greets(said: bytes) -> bool:
    return said.startswith(f"220 {settings.MAILSPOOL_HOSTNAME} ESMTP Mailspool".encode())
