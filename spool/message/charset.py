"""Bytes as text by the name that a sender gave to a character set, as mail programs and browsers understand it.

The WHATWG's table of labels says what is meant: "gb2312" is GBK, "iso-8859-1" windows-1252. Some old ones of mail
that it leaves out are added. Python's codecs that are no character sets (punycode takes quadratic time) are not used.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Final

import webencodings

_OF_OLD_MAIL: Final = re.compile(r"ascii|utf_7|utf_32|hz|iso2022_\w+|johab|big5hkscs|cp\d{3}|mac_\w+")


@lru_cache(256)
def codec_of(label: str) -> codecs.CodecInfo | None:
    """What decodes the character set called `label`; None for one that nobody knows."""
    label = label.strip("\"' \t")[:60]
    if not label.isascii():
        return None
    found = webencodings.lookup(label)
    # x-user-defined stands for no text, and "replacement" for what browsers refuse.
    if found is not None and found.name not in ("replacement", "x-user-defined"):
        return found.codec_info
    try:
        codec = codecs.lookup(label)
    except (LookupError, UnicodeError, ValueError):
        return None
    return codec if _OF_OLD_MAIL.fullmatch(codec.name.replace("-", "_")) else None


def text_of(raw: bytes, label: str) -> str:
    """Bytes as text, whatever the sender called its character set. Without NUL."""
    for codec, errors in ((codec_of(label), "replace" if label else "strict"), (codecs.lookup("utf-8"), "strict")):
        if codec is None:
            continue
        try:
            return codec.decode(raw, errors)[0].replace("\x00", "\ufffd")
        except (UnicodeError, ValueError):
            continue
    return raw.decode("latin-1").replace("\x00", "\ufffd")
