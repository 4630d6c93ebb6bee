"""What went wrong with a connection, in words for people: no errno, no function of ours, no address tuple."""

from __future__ import annotations

import errno
import os
import ssl

_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "the other side reset the connection",
    errno.ECONNABORTED: "the connection was aborted",
    errno.EPIPE: "the other side closed the connection",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "the network is unreachable",
    errno.ETIMEDOUT: "no answer in time",
    errno.EADDRNOTAVAIL: "this machine does not have the address that connections are to come from",
}


def in_words(error: BaseException) -> str:
    """`error`, as far as people need to know."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        # "WRONG_VERSION_NUMBER": OpenSSL's names say more than anything else does.
        return f"TLS error: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, OSError) and error.errno is not None:
        return _WORDS.get(error.errno) or _lower_first(os.strerror(error.errno))
    return str(error) or "the connection broke"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
