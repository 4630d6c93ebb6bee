"""A record that mail needs, and what was found of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from base.dns_texts import strings_of
from base.facts import Fact
from spool.models.dns import RecordState

# Of all that a stranger's DNS says so much is kept and shown, in characters.
LONGEST_SHOWN: Final = 2000


@dataclass(frozen=True, slots=True)
class Verdict:
    """`sentence` says what is so and, where something is wrong, what to do. `wanted` is a better record than the one
    wished for, where what is there has to be kept."""

    state: RecordState
    sentence: Fact
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


def right(sentence: Fact) -> Verdict:
    return Verdict(RecordState.RIGHT, sentence)


def wrong(sentence: Fact, wanted: str = "") -> Verdict:
    return Verdict(RecordState.WRONG, sentence, wanted)


def missing(sentence: Fact) -> Verdict:
    return Verdict(RecordState.MISSING, sentence)


def optional(sentence: Fact) -> Verdict:
    return Verdict(RecordState.OPTIONAL, sentence)


def unknown(sentence: Fact) -> Verdict:
    return Verdict(RecordState.UNKNOWN, sentence)


def zone_line(name: str, kind: str, value: str) -> str:
    """A line of a zone file (RFC 1035 5.1)."""
    if kind == "TXT":
        strings = strings_of(value)
        value = f"({strings})" if '" "' in strings else strings
    return f"{name}. 3600 IN {kind} {value}"
