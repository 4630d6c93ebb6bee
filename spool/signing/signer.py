"""A DKIM signature (RFC 6376 3.5, 5): the field that is put before a message, by one key.

What is signed is what receivers show and act on. Those fields of which a message has one are signed once more than they
are there, so that nobody can add another. No part of a body is left out (no `l=`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from spool.signing import canonical

# Also where there is none: readers would show one that was added.
_ALWAYS: Final = ("from", "reply-to", "subject", "date", "message-id", "to", "cc")
# Where there is one: relays may add these to mail without them, and lists their own (RFC 2369, RFC 8058 4).
_ONCE: Final = (
    "sender",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
)
_SIGNED: Final = (*_ALWAYS, *_ONCE, "in-reply-to", "references", "content-disposition")
# A message with more of them is nobody's mail, and its signature would be longer than its header.
MOST_FIELDS: Final = 100
_LINE: Final = 72

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey

_PADDING: Final = padding.PKCS1v15()
_SHA256: Final = hashes.SHA256()


@dataclass(frozen=True, slots=True)
class Signer:
    """The private half of an active key."""

    domain: str
    selector: str
    key: PrivateKey

    def sign(self, fields: Sequence[bytes], body_hash: bytes, at: int) -> bytes:
        """The signature of a message as a field with CRLF, or nothing for one with too many fields.

        `fields` are those of its header as they stand, `at` is now, in seconds since 1970.
        """
        by_name: dict[str, list[bytes]] = {}
        for raw in fields:
            name = raw.partition(b":")[0].strip(b" \t").lower().decode("ascii", "replace")
            if name in _SIGNED:
                by_name.setdefault(name, []).append(raw)
        if sum(map(len, by_name.values())) > MOST_FIELDS:
            return b""
        names, signed = list[str](), list[bytes]()
        for name in _SIGNED:
            # From the last to the first, as verifiers take them (5.4.2).
            there = by_name.get(name, [])
            names += [name] * (len(there) + (name in _ALWAYS or (name in _ONCE and bool(there))))
            signed += [canonical.field(raw) for raw in reversed(there)]
        own = self._field(names, body_hash, at)
        signed.append(canonical.field(own))
        return own + _folded(base64.b64encode(self._signature(b"\r\n".join(signed)))) + b"\r\n"

    def _field(self, names: Sequence[str], body_hash: bytes, at: int) -> bytes:
        """The field up to its own signature."""
        algorithm = "rsa" if isinstance(self.key, RSAPrivateKey) else "ed25519"
        return (
            f"DKIM-Signature: v=1; a={algorithm}-sha256; c=relaxed/relaxed;\r\n"
            f"\td={self.domain}; s={self.selector};\r\n"
            f"\tt={at}; h={_wrapped(tuple(names))};\r\n"
            f"\tbh={base64.b64encode(body_hash).decode()};\r\n"
            f"\tb="
        ).encode()

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(data, _PADDING, _SHA256)
        # RFC 8463 3: the hash is what is signed.
        return self.key.sign(hashlib.sha256(data).digest())


@lru_cache(256)
def _wrapped(names: tuple[str, ...]) -> str:
    """The tag h=, folded at its colons. Mail of one program has the same each time."""
    lines, line = list[str](), ""
    for name in names:
        if line and len(line) + len(name) > _LINE:
            lines.append(line)
            line = ""
        line += f"{name}:"
    return "\r\n\t ".join([*lines, line])[:-1]


def _folded(signature: bytes) -> bytes:
    return b"\r\n\t ".join(signature[start : start + _LINE] for start in range(0, len(signature), _LINE))
