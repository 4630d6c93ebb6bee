"""The TLS contexts of outgoing connections, one per policy, made once."""

from __future__ import annotations

import ssl
from functools import cache

from spool.models.route import TLSPolicy


def verifies(policy: TLSPolicy) -> bool:
    """Whether the certificate must be valid for the host's name."""
    return policy in (TLSPolicy.VERIFY, TLSPolicy.IMPLICIT)


@cache
def context_for(policy: TLSPolicy) -> ssl.SSLContext:
    """A client context; the system's certificate authorities (or SSL_CERT_FILE) decide where they must."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verifies(policy):
        # Encryption without proof of identity still beats clear text (RFC 7435).
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
