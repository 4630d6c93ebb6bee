"""What a setting must be so that mail can flow by it: checks that look at more than the text."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from django.utils.translation import gettext as _

from accounts.addresses import InvalidAddress, normalise_domain
from base.facts import NOTHING, Fact, fact


def lmtp_complaint(address: str) -> str:
    """Why `address` can't be an LMTP server's (host:port, [IPv6]:port, or the path of a socket); "" when it can."""
    if address.startswith("/"):
        return "" if address.isprintable() else _("The path of the socket has characters that can't be shown.")
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        return _("%(address)s is neither host:port, as in 127.0.0.1:24, nor the path of a socket.") % {
            "address": f"{address!r}"
        }
    if host.startswith("[") and host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return _("%(host)s is not an IPv6 address in brackets.") % {"host": host}
        return ""
    try:
        normalise_domain(host)
    except InvalidAddress as error:
        return f"{error}."
    return ""


def certificate_complaint(certificate: str, key: str) -> Fact:
    """Why the two files can't be used for TLS; NOTHING when they can."""
    for path in (certificate, key):
        if not Path(path).is_absolute():
            return fact("%(path)s is not an absolute path.", path=path)
        try:
            with Path(path).open("rb"):
                pass
        except OSError as error:
            return fact("%(path)s can't be read: %(strerror)s.", path=path, strerror=error.strerror or str(error))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", "") or str(error)
        if reason == "KEY_VALUES_MISMATCH":
            return fact("The key is not the certificate's.")
        return fact(
            "They are not a certificate chain and its key, in PEM and without a password (%(reason)s).", reason=reason
        )
    return NOTHING
