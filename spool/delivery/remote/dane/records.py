"""TLSA records, as far as mail makes use of them (RFC 7672 3.1, RFC 7671 9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

AUTHORITY: Final = 2
HOST: Final = 3
CERTIFICATE: Final = 0
KEY: Final = 1
WHOLE: Final = 0
# The length of each digest in bytes, SHA-256 and SHA-512; the longer one is the stronger one.
DIGEST_BYTES: Final = {1: 32, 2: 64}
# Far more than anybody has; all of them would only cost time.
MOST_RECORDS: Final = 50


@dataclass(frozen=True, slots=True)
class Record:
    """One TLSA record. `data` is a certificate or a public key in DER, or its digest."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        """As a zone file has it (RFC 6698 2.2)."""
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


@dataclass(frozen=True, slots=True)
class Tlsa:
    """What is known of the certificate of a host.

    `base` is the name that the records are below, which the host is told (SNI), and `names` are those that a
    certificate may name where names count. Empty `records`: there are some, but none of use, and encryption is all that
    is asked for.
    """

    base: str
    names: tuple[str, ...]
    records: tuple[Record, ...]
    # All that there were, as a zone file has them.
    said: tuple[str, ...] = field(default=(), compare=False)


def usable(records: Iterable[Record]) -> tuple[Record, ...]:
    """Those that count: of several digests of the same the strongest (RFC 7671 9), and everything in full."""
    good = list(dict.fromkeys(filter(_is_usable, records)))[:MOST_RECORDS]
    strongest: dict[tuple[int, int], int] = {}
    for record in good:
        kind = record.usage, record.selector
        strongest[kind] = max(strongest.get(kind, WHOLE), record.matching)
    return tuple(record for record in good if record.matching in (WHOLE, strongest[record.usage, record.selector]))


def _is_usable(record: Record) -> bool:
    # Usages 0 and 1 want a certificate authority besides, and which, hosts can't know of us (RFC 7672 3.1.3).
    if record.usage not in (AUTHORITY, HOST) or record.selector not in (CERTIFICATE, KEY):
        return False
    if record.matching != WHOLE:
        return len(record.data) == DIGEST_BYTES.get(record.matching)
    try:
        if record.selector == CERTIFICATE:
            x509.load_der_x509_certificate(record.data)
        else:
            load_der_public_key(record.data)
    except UnsupportedAlgorithm:
        return True
    except ValueError:
        return False
    return True
