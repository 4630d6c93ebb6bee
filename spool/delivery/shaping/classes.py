"""What a refusal is about: our rate, our connections, our address, or only this message or recipient.

The words are data (reply_classes.txt): receivers say the same thing in a hundred ways, and few use the enhanced codes
of RFC 3463 and RFC 7372 as they are meant. A text is cut, and read a fixed number of times.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

# What is said after so many characters decides nothing.
LONGEST_TEXT: Final = 1000
_FILE: Final = Path(__file__).with_name("reply_classes.txt")
# The same code is often repeated on each line, and in the text.
_CODES: Final = re.compile(r"(?<![\w.])(?:[45]\d\d[ -])?[245]\.\d{1,3}\.\d{1,3}(?![\w.])")
_QUOTED: Final = re.compile(r"(?<![\w.])([45]\d\d)[ -]")
_NO_WORD: Final = re.compile(r"[\W_]+")
# Chinese and Japanese are written without spaces.
_WITHOUT_SPACES: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
# Letters that have no accent to be left out, and are written without it all the same.
_PLAIN: Final = str.maketrans({"ł": "l", "Ł": "l", "ß": "ss", "ø": "o", "Ø": "o", "đ": "d", "ı": "i"})
_WAIT: Final = re.compile(r"(?<!\d)(\d{1,5}) ?(s|secs?|seconds?|m|mins?|minutes?|h|hours?)(?![a-z])")
_CLOCK: Final = re.compile(r"(?<![\d:])(\d{1,2}):([0-5]\d):([0-5]\d)(?![\d:])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


class ReplyClass(StrEnum):
    """What a refusal is about. The first four are about us as a sender, the others are not."""

    RATE = "rate"
    CONNECTIONS = "connections"
    REPUTATION = "reputation"
    # Over one connection, after which another may be opened.
    MESSAGES = "messages"
    GREYLISTING = "greylisting"
    AUTHENTICATION = "authentication"
    MAILBOX_FULL = "mailbox-full"
    POLICY = "policy"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of the file: the class of replies with one of `codes` (none: any) that have all of `phrases`, in order."""

    is_about: ReplyClass
    codes: tuple[str, ...]
    phrases: tuple[str, ...]

    def fits(self, code: int, enhanced: str, words: str) -> bool:
        """`words` is a text as `_words` makes it."""
        if self.codes and not any(_has_code(wanted, code, enhanced) for wanted in self.codes):
            return False
        place = 0
        for phrase in self.phrases:
            place = words.find(phrase, place)
            if place < 0:
                return False
            place += len(phrase)
        return True


@lru_cache(64)
def classify(code: int, enhanced: str, text: str) -> ReplyClass:
    """What a refusal is about; `text` is with or without its codes. What was taken is about nothing.

    Asked for the site and for each recipient, mostly of the one reply.
    """
    if code < 400:
        return ReplyClass.OTHER
    words = _words(text)
    return next((rule.is_about for rule in _rules() if rule.fits(code, enhanced, words)), ReplyClass.OTHER)


def about(result: str, status_code: str = "") -> ReplyClass:
    """What a result is about in which a reply may be quoted, as `mx.example.org [192.0.2.1] answered MAIL: 421 …`."""
    quoted = _QUOTED.search(result[:LONGEST_TEXT])
    return classify(int(quoted[1]), status_code, result[quoted.start() :]) if quoted is not None else ReplyClass.OTHER


def wait_asked_for(text: str) -> int | None:
    """After how many seconds a host that greylists says that it takes the message; None when it does not say."""
    text = text[:LONGEST_TEXT].lower()
    if (clock := _CLOCK.search(text)) is not None:
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3])
    if (found := _WAIT.search(text)) is not None:
        return int(found[1]) * _UNITS[found[2][0]]
    return None


def parse(text: str) -> Iterator[Rule]:
    """The rules of a file: `CLASS CODES: PHRASE … PHRASE`. What follows `#` is a remark. Raises ValueError."""
    for line in text.splitlines():
        head, _, phrases = line.partition("#")[0].partition(":")
        if not head.strip():
            continue
        name, codes = head.split()
        found = tuple(_phrase(phrase) for phrase in phrases.split("…") if phrase.strip())
        yield Rule(ReplyClass(name), () if codes == "*" else tuple(codes.split(",")), found)


@cache
def _rules() -> tuple[Rule, ...]:
    return tuple(parse(_FILE.read_text("utf-8")))


def _words(text: str) -> str:
    """The words of a text in lower case, a space before each and after the last."""
    return f" {_apart(_CODES.sub(' ', text[:LONGEST_TEXT]))} "


def _phrase(text: str) -> str:
    """Words as they are found: from the beginning of the first one on."""
    return f" {_apart(text)}" + (" " if text.rstrip().endswith("|") else "")


def _apart(text: str) -> str:
    """Words in lower case and without accents, which many leave out, with one space between them."""
    if not text.isascii():
        letters = unicodedata.normalize("NFD", text.translate(_PLAIN))
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
        text = _WITHOUT_SPACES.sub(r" \g<0> ", text)
    return _NO_WORD.sub(" ", text).strip().lower()


def _has_code(wanted: str, code: int, enhanced: str) -> bool:
    """`421`, `4` for all of its class, `4.7.28`, or `4.7.6*` for all that go on after that."""
    if "." not in wanted:
        return str(code).startswith(wanted)
    if wanted.endswith("*"):
        return enhanced.startswith(wanted[:-1]) and len(enhanced) >= len(wanted)
    return enhanced == wanted
