"""MAIL and RCPT as one host understands them: SIZE, 8BITMIME, SMTPUTF8, DSN, REQUIRETLS (RFC 1870, 6152, 6531, 3461,
8689)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spool.dsn import xtext
from spool.message.envelope import LeasedEntry, LeasedRecipient
from spool.message.header import block as header_block
from spool.message.tls_wish import TLSWish

_HEAD_BYTES = 256 * 1024


def needs_utf8(entry: LeasedEntry, recipients: Sequence[LeasedRecipient]) -> bool:
    """Whether the message can't go to `recipients` without SMTPUTF8: for its addresses, or for its header.

    A sender may have asked for the extension without need (RFC 6531 3.4). Looks into the file only if it did.
    """
    if _has_utf8_address(entry, recipients):
        return True
    if not entry.smtputf8:
        return False
    try:
        return not header_block(entry.read_head(_HEAD_BYTES)).isascii()
    except OSError:
        # Whoever reads it next will say so.
        return False


def mail_command(entry: LeasedEntry, recipients: Sequence[LeasedRecipient], features: Mapping[str, str]) -> bytes:
    """MAIL for a host that offers `features`; all of `recipients` get the message under the same reverse-path."""
    words = [f"MAIL FROM:<{entry.sender_for(recipients[0])}>"]
    if "SIZE" in features:
        words.append(f"SIZE={entry.size_bytes}")
    if entry.eight_bit and "8BITMIME" in features:
        words.append("BODY=8BITMIME")
    if "SMTPUTF8" in features and (entry.smtputf8 or _has_utf8_address(entry, recipients)):
        words.append("SMTPUTF8")
    if entry.tls_wish == TLSWish.REQUIRED and "REQUIRETLS" in features:
        words.append("REQUIRETLS")
    if "DSN" in features:
        words += [f"RET={entry.ret}"] if entry.ret else []
        words += [f"ENVID={entry.envid}"] if entry.envid else []
    return (" ".join(words) + "\r\n").encode()


def rcpt_command(recipient: LeasedRecipient, features: Mapping[str, str]) -> bytes:
    """RCPT for a host that offers `features`."""
    words = [f"RCPT TO:<{recipient.address}>"]
    if "DSN" in features:
        words += [f"NOTIFY={recipient.notify}"] if recipient.notify else []
        orcpt = _orcpt(recipient, utf8="SMTPUTF8" in features)
        words += [f"ORCPT={orcpt}"] if orcpt else []
    return (" ".join(words) + "\r\n").encode()


def _has_utf8_address(entry: LeasedEntry, recipients: Sequence[LeasedRecipient]) -> bool:
    return not (entry.sender.isascii() and all([recipient.address.isascii() for recipient in recipients]))


def _orcpt(recipient: LeasedRecipient, *, utf8: bool) -> str:
    """ORCPT: as it was given, or the address that an alias has replaced; "" for none.

    Beyond ASCII it is of the type utf-8, and spelled in ASCII for a host without SMTPUTF8 (RFC 6533 3).
    """
    orcpt = recipient.orcpt
    if orcpt:
        if orcpt.isascii() or utf8:
            return orcpt
        try:
            kind, address = xtext.original_recipient(orcpt)
        except xtext.InvalidParameter:
            return ""
        orcpt = f"{kind};{xtext.encode_utf8(address)}"
    elif recipient.original:
        original = recipient.original
        orcpt = f"rfc822;{xtext.encode(original)}" if original.isascii() else f"utf-8;{xtext.encode_utf8(original)}"
    return orcpt if len(orcpt) <= xtext.LONGEST_ORCPT else ""
