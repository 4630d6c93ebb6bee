"""RFC 2047: encoded words in header fields, each decoded as well as can be, and everything beside them left alone."""

from __future__ import annotations

import binascii
import re
from typing import Final

from spool.message.charset import codec_of

_WORD: Final = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*?)\?=")
_NO_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]")


def decode(text: str) -> str:
    """`text` with its encoded words as what they stand for; one in an unknown character set stays as it is.

    Blanks between two encoded words mean nothing (6.2). Senders cut characters of several bytes in two; so the bytes of
    words in one character set that follow each other are decoded together.
    """
    if "=?" not in text:
        return text
    parts: list[str] = []
    run: list[bytes] = []
    run_label, position = "", 0

    def flush() -> None:
        if run:
            codec = codec_of(run_label)
            assert codec is not None
            parts.append(codec.decode(b"".join(run), "replace")[0])
            run.clear()

    for word in _WORD.finditer(text):
        # RFC 2231 5: a language may be named behind the character set.
        label = word[1].partition("*")[0].lower()
        between = text[position : word.start()]
        if codec_of(label) is None:
            continue
        follows = bool(run) and not between.strip()
        if not follows or label != run_label:
            flush()
        if not follows:
            parts.append(between)
        run_label = label
        run.append(_bytes_of(word[2], word[3]))
        position = word.end()
    flush()
    parts.append(text[position:])
    return "".join(parts)


def _bytes_of(encoding: str, encoded: str) -> bytes:
    raw = encoded.encode("utf-8", "surrogateescape")
    if encoding in "bB":
        digits = _NO_BASE64.sub(b"", raw)
        digits = digits[: len(digits) - 1] if len(digits) % 4 == 1 else digits
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
    return binascii.a2b_qp(raw, header=True)
