"""The DSN parameters of MAIL and RCPT (RFC 3461 4, RFC 6533 3), checked and decoded."""

from __future__ import annotations

import re

# RFC 3461 4.2 and 4.4, in characters of the encoded form.
LONGEST_ORCPT = 500
LONGEST_ENVID = 100

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*")
_HEX_PAIR = re.compile(r"\+([0-9A-Fa-f]{2})")
_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]+")
_PRINTABLE = re.compile(r"[ -~]+")
# QUCHAR and EmbeddedUnicodeChar; which code points may be embedded is checked after matching.
_UNITEXT = re.compile(r"(?:[!-*,-<>-\[\]-~\u0080-\U0010ffff]|\\x\{[0-9A-Fa-f]{2,6}\})+")
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
_CONDITIONS = ("SUCCESS", "FAILURE", "DELAY")


class InvalidParameter(ValueError):
    """A DSN parameter that is not what RFC 3461 allows; the message is a sentence for the client."""


def encode(text: str) -> str:
    """`text`, which must be ASCII, as xtext (RFC 3461 4). Raises InvalidParameter."""
    if not text.isascii():
        raise InvalidParameter("xtext holds ASCII only")
    return _NOT_XCHAR.sub(lambda match: f"+{ord(match[0]):02X}", text)


def decode(text: str) -> str:
    """The text that the xtext `text` stands for; hex digits are taken in either case. Raises InvalidParameter."""
    if not _XTEXT.fullmatch(text):
        raise InvalidParameter("this is not xtext: '+' needs two hex digits after it, and spaces and '=' need encoding")
    return _HEX_PAIR.sub(lambda match: chr(int(match[1], 16)), text)


def encode_utf8(address: str) -> str:
    r"""An address beyond ASCII in ASCII, each other character as \x{HEX} (RFC 6533 utf-8-addr-xtext)."""
    return _NOT_QCHAR.sub(lambda match: rf"\x{{{ord(match[0]):02X}}}", address)


def decode_utf8(text: str) -> str:
    """The address that an RFC 6533 utf-8-addr-xtext or utf-8-addr-unitext stands for. Raises InvalidParameter."""
    if not _UNITEXT.fullmatch(text):
        raise InvalidParameter(r"a utf-8 address writes '+', '=', '\' and spaces as in \x{2B}")
    return _EMBEDDED.sub(_embedded, text)


def _embedded(match: re.Match[str]) -> str:
    point = int(match[1], 16)
    if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF or not chr(point).isprintable():
        raise InvalidParameter(rf"\x{{{match[1]}}} is not a character of an address")
    return chr(point)


def parse_notify(value: str) -> str:
    """NOTIFY in one spelling: NEVER, or a list such as SUCCESS,FAILURE. Raises InvalidParameter (RFC 3461 4.1)."""
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return "NEVER"
    for word in words:
        if word == "NEVER":
            raise InvalidParameter("NOTIFY=NEVER stands alone")
        if word not in _CONDITIONS:
            raise InvalidParameter("NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
    return ",".join(word for word in _CONDITIONS if word in words)


def parse_ret(value: str) -> str:
    """RET in upper case: FULL or HDRS. Raises InvalidParameter (RFC 3461 4.3)."""
    if (word := value.upper()) not in ("FULL", "HDRS"):
        raise InvalidParameter("RET is FULL or HDRS")
    return word


def parse_envid(value: str) -> str:
    """ENVID as given, once it is checked: xtext of printable characters. Raises InvalidParameter (RFC 3461 4.4)."""
    if not value or len(value) > LONGEST_ENVID:
        raise InvalidParameter(f"ENVID has 1 to {LONGEST_ENVID} characters")
    if not _PRINTABLE.fullmatch(decode(value)):
        raise InvalidParameter("ENVID stands for printable ASCII characters only")
    return value


def parse_orcpt(value: str) -> str:
    """ORCPT as given, once it is checked: `type;xtext`. Raises InvalidParameter (RFC 3461 4.2, RFC 6533 3)."""
    if len(value.encode("utf-8", "surrogatepass")) > LONGEST_ORCPT:
        raise InvalidParameter(f"ORCPT has at most {LONGEST_ORCPT} characters")
    original_recipient(value)
    return value


def original_recipient(orcpt: str) -> tuple[str, str]:
    """The ORCPT parameter as (address type in lower case, decoded address). Raises InvalidParameter."""
    kind, semicolon, encoded = orcpt.partition(";")
    if not semicolon or not encoded or not _ADDRESS_TYPE.fullmatch(kind):
        raise InvalidParameter("ORCPT is an address type and an address, as in rfc822;ann@example.org")
    kind = kind.lower()
    if kind == "utf-8":
        return kind, decode_utf8(encoded)
    address = decode(encoded)
    if not _PRINTABLE.fullmatch(address):
        raise InvalidParameter("ORCPT stands for printable ASCII characters only; others need the type utf-8")
    return kind, address
