"""What a domain asks of TLS, and how a session with one of its hosts ended, as TLS reports call it (RFC 8460 4)."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final


class PolicyType(StrEnum):
    """By what a domain asks for TLS (RFC 8460 4.4)."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


class Result(StrEnum):
    """What was wrong with a session (RFC 8460 4.3)."""

    GOOD = ""
    NO_STARTTLS = "starttls-not-supported"
    WRONG_HOST = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    # Whatever has no name of its own: the reason says what it was.
    FAILED = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    STS_NOT_FETCHED = "sts-policy-fetch-error"
    STS_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


@dataclass(frozen=True, slots=True)
class AskedPolicy:
    """What a domain asks for: `strings` are its TLSA records or the lines of its MTA-STS policy, `mx` its patterns.

    `tested`: nothing follows from it yet but reports (RFC 8461 5). `trouble` is why a policy that there is could not be
    applied.
    """

    kind: PolicyType = PolicyType.NONE
    strings: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()
    tested: bool = False
    trouble: Result = Result.GOOD

    @property
    def key(self) -> str:
        """A short digest. How long a policy is good for is not part of it: that runs out while it stays the same."""
        said = "\n".join(one for one in self.strings if not one.startswith("max_age:"))
        return sha256(f"{said}\n\n{','.join(self.mx)}".encode()).hexdigest()[:16]


NO_POLICY: Final = AskedPolicy()
# Why a host is left out.
NOT_NAMED: Final = "the MTA-STS policy does not name this host"


@dataclass(frozen=True, slots=True)
class Session:
    """How one session for mail to `domain` ended. Of hosts that were never asked only the name is known."""

    domain: str
    policy: AskedPolicy
    result: Result
    host: str
    ip: str = ""
    source: str = ""
    reason: str = ""


# Told of each session that counts.
Told = Callable[[Session], None]

# OpenSSL's X509_V_ERR_…: expired; then another name, another address.
_EXPIRED: Final = 10
_OTHER_NAMES: Final = (62, 63, 64)
# No authority that is known here: self-signed, an issuer that is missing or not trusted.
_UNTRUSTED: Final = (2, 18, 19, 20, 21, 27)


def result_of(error: BaseException | None) -> Result:
    """By what kind of failure TLS came to nothing."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return Result.FAILED
    code = error.verify_code
    if code == _EXPIRED:
        return Result.EXPIRED
    if code in _OTHER_NAMES:
        return Result.WRONG_HOST
    return Result.NOT_TRUSTED if code in _UNTRUSTED else Result.FAILED


def sts_lines(mode: str, mx: Sequence[str], max_age_seconds: int) -> tuple[str, ...]:
    """An MTA-STS policy as reports quote it: a string for each line."""
    return ("version: STSv1", f"mode: {mode}", *(f"mx: {name}" for name in mx), f"max_age: {max_age_seconds}")
