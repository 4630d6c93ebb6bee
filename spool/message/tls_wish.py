"""What a sender wants of TLS on the way of a message (RFC 8689): by REQUIRETLS, or by the field TLS-Required."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from spool.message.header import Header

_FIELD: Final = b"tls-required"
# Of a header so much is looked at.
_HEAD_BYTES: Final = 256 * 1024


class TLSWish(StrEnum):
    """`REQUIRED`: only over TLS, to proved hosts that promise the same; or else it comes back.

    `OPTIONAL`: what the recipient's domain asks for (MTA-STS, DANE) must not keep the message from arriving.
    """

    USUAL = ""
    REQUIRED = "required"
    OPTIONAL = "optional"


def wish_in(head: bytes) -> TLSWish:
    """What the field TLS-Required of a message asks for. Its only value is No, and it may stand once (RFC 8689 3)."""
    end = head.find(b"\r\n\r\n", 0, _HEAD_BYTES)
    head = head[: _HEAD_BYTES if end < 0 else end + 2]
    # Hardly any message has it.
    if _FIELD not in head.lower():
        return TLSWish.USUAL
    values = Header.of(head).all(_FIELD.decode())
    return TLSWish.OPTIONAL if [value.lower() for value in values] == [b"no"] else TLSWish.USUAL
