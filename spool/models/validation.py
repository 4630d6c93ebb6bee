"""What a setting must be so that mail can flow by it: checks that look at more than the text."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from accounts.addresses import InvalidAddress, normalise_domain


def lmtp_complaint(address: str) -> str:
    """Why `address` can't be an LMTP server's (host:port, [IPv6]:port, or the path of a socket); "" when it can."""
    if address.startswith("/"):
        return "" if address.isprintable() else "The path of the socket has characters that can't be shown."
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        return f"{address!r} is neither host:port, as in 127.0.0.1:24, nor the path of a socket."
    if host.startswith("[") and host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return f"{host} is not an IPv6 address in brackets."
        return ""
    try:
        normalise_domain(host)
    except InvalidAddress as error:
        return f"{error}."
    return ""


def certificate_complaint(certificate: str, key: str) -> str:
    """Why the two files can't be used for TLS; "" when they can."""
    for path in (certificate, key):
        if not Path(path).is_absolute():
            return f"{path} is not an absolute path."
        try:
            with Path(path).open("rb"):
                pass
        except OSError as error:
            return f"{path} can't be read: {error.strerror}."
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", "") or str(error)
        if reason == "KEY_VALUES_MISMATCH":
            return "The key is not the certificate's."
        return f"They are not a certificate chain and its key, in PEM and without a password ({reason})."
    return ""
