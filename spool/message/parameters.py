"""Parameters of MIME fields, `; name=value` (RFC 2045 5.1), also in pieces and in a character set (RFC 2231)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from spool.message.charset import text_of

MOST_PARAMETERS: Final = 100
_LONGEST: Final = 16 * 1024
_PARAMETER: Final = re.compile(r';\s*([^\s=;"]{1,100})\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s;]*))', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_PIECE: Final = re.compile(r"(.*?)\*(?:(\d{1,3})(\*?))?$", re.DOTALL)


def split_value(value: bytes) -> tuple[str, Mapping[str, str]]:
    """A field's value before the first semicolon, in lower case, and its parameters by names in lower case.

    Of a parameter that comes more than once the first counts; one whole with its character set (`name*`) goes before
    one in pieces (`name*0`), and that before a plain one.
    """
    text = value[:_LONGEST].decode("utf-8", "surrogateescape")
    main = text.partition(";")[0].strip().lower()
    plain: dict[str, str] = {}
    extended: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for count, found in enumerate(_PARAMETER.finditer(text)):
        if count >= MOST_PARAMETERS:
            break
        name = found[1].lower()
        content = _QUOTED_PAIR.sub(r"\1", found[2]) if found[2] is not None else found[3]
        split = _PIECE.fullmatch(name)
        if split is None:
            plain.setdefault(name, content)
        elif split[2] is None:
            extended.setdefault(split[1], _in_character_set(content))
        else:
            pieces.setdefault(split[1], {}).setdefault(int(split[2]), (content, bool(split[3])))
    return main, plain | {name: _together(parts) for name, parts in pieces.items() if 0 in parts} | extended


def _together(pieces: Mapping[int, tuple[str, bool]]) -> str:
    """Pieces 0, 1, … up to the first that is missing; the first one names the character set for all."""
    label, whole = "", b""
    for number in range(len(pieces)):
        if number not in pieces:
            break
        content, is_extended = pieces[number]
        if number == 0 and is_extended:
            label, content = _label_of(content)
        raw = content.encode("utf-8", "surrogateescape")
        whole += unquote_to_bytes(raw) if is_extended else raw
    return text_of(whole, label)


def _in_character_set(content: str) -> str:
    label, rest = _label_of(content)
    return text_of(unquote_to_bytes(rest.encode("utf-8", "surrogateescape")), label)


def _label_of(content: str) -> tuple[str, str]:
    """`utf-8'en'rest` as (character set, rest); without both quotes it is all rest."""
    parts = content.split("'", 2)
    return (parts[0], parts[2]) if len(parts) == 3 else ("", content)
