"""A record that mail needs, and what was found of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from spool.models.dns import RecordState

# Of all that a stranger's DNS says so much is kept and shown, in characters.
LONGEST_SHOWN: Final = 2000


@dataclass(frozen=True, slots=True)
class Verdict:
    """`sentence` says what is so and, where something is wrong, what to do. `wanted` is a better record than the one
    wished for, where what is there has to be kept."""

    state: RecordState
    sentence: str
    wanted: str = ""


# What the records that a server has, as base.name_servers.Answer has them, come to.
Judge = Callable[[Sequence[str]], Verdict]


@dataclass(frozen=True, slots=True)
class Wish:
    """A record that is to be there: its purpose ("MX", "SPF", …), where, of which type, and its value.

    `by_resolver` asks the resolver instead of the zone's own servers, for names that are somebody else's.
    """

    purpose: str
    name: str
    kind: str
    wanted: str
    judge: Judge
    by_resolver: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look has found of a wish."""

    purpose: str
    name: str
    kind: str
    wanted: str
    found: str
    state: RecordState
    sentence: str


def right(sentence: str) -> Verdict:
    return Verdict(RecordState.RIGHT, sentence)


def wrong(sentence: str, wanted: str = "") -> Verdict:
    return Verdict(RecordState.WRONG, sentence, wanted)


def missing(sentence: str) -> Verdict:
    return Verdict(RecordState.MISSING, sentence)


def optional(sentence: str) -> Verdict:
    return Verdict(RecordState.OPTIONAL, sentence)


def unknown(sentence: str) -> Verdict:
    return Verdict(RecordState.UNKNOWN, sentence)


def zone_line(name: str, kind: str, value: str) -> str:
    """A line of a zone file (RFC 1035 5.1): no string in it is longer than 255 bytes."""
    return f"{name}. 3600 IN {kind} {zone_value(kind, value)}"


def zone_value(kind: str, value: str) -> str:
    """A value as a zone file has it. That of a TXT record is quoted, in pieces; names end with a dot already."""
    if kind != "TXT":
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    pieces = [f'"{escaped[start : start + 250]}"' for start in range(0, len(escaped), 250)]
    return pieces[0] if len(pieces) == 1 else f"({' '.join(pieces)})"


def tags_of(record: str) -> dict[str, str]:
    """The `name=value` pairs of a record such as DMARC's (RFC 6376 3.2), by their names in lower case."""
    tags: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    return tags
