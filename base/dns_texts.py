"""Texts that stand in the DNS: as lines of a zone file have them, and the tags in them."""

from __future__ import annotations

from typing import Final

# Of the 255 bytes that one string may have (RFC 1035 3.3).
_LONGEST: Final = 250


def strings_of(text: str) -> str:
    """A text as the quoted strings of a zone file (RFC 1035 5.1), with blanks between them."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{escaped[start : start + _LONGEST]}"' for start in range(0, len(escaped), _LONGEST))


def tags_of(record: str) -> dict[str, str]:
    """The `name=value` pairs of a record such as DMARC's (RFC 6376 3.2), by their names in lower case.

    Of several of a name the first counts; what has no value is none.
    """
    tags: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    return tags
