"""The one search box: what a word in it is taken for, and a sentence that says so."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from accounts.addresses import InvalidAddress, normalise_domain, split_address
from spool.filters.conditions import SpoolFilter
from spool.filters.fields import FIELDS, BadFilter
from spool.filters.pages import count

_FILE_NAME = re.compile(r"[0-9a-hjkmnp-tv-z]{26}(?:\.eml)?", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>\s]+@[^<>\s]+>")
_PREFIXES = {
    "from": "sender",
    "to": "recipient",
    "subject": "subject",
    "ip": "ip",
    "user": "auth-user",
    "error": "error",
    "status": "status",
    "id": "message-id",
    "file": "id",
    "domain": "domain",
    "older": "older",
    "younger": "younger",
    "larger": "larger",
    "smaller": "smaller",
    "priority": "priority",
    "hold": "hold",
    "direction": "direction",
}
MOST_TERMS = 10
# Whether there is mail for which a condition, by its name, has a value.
Finds = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that was understood: the field it sets, to what, and that in words."""

    field: str
    value: str
    sentence: str


def understand(text: str, finds: Finds | None = None) -> list[Term]:
    """What the words of a search are taken for. Raises BadFilter for a `from:`, `older:` and such that makes no sense.

    `ann@example.org` is a sender (`to:` makes it a recipient), `@example.org` a sender's domain, `example.org` a
    recipient's; an IP is the client's; what looks like a file name or a Message-ID is one; the rest is in the subject.
    A word that may be one or the other is what there is mail of: `finds` says so, of the spool when it is not given.
    """
    terms: list[Term] = []
    words: list[str] = []
    for word in re.findall(r'(?:[a-z-]+:)?"[^"]*"|\S+', text)[:MOST_TERMS]:
        name, value = _recognise(word, finds or in_spool)
        if name == "subject":
            words.append(value)
        elif value:
            terms.append(_term(name, value))
    if words:
        terms.append(_term("subject", " ".join(words)))
    return terms


def from_text(text: str) -> SpoolFilter:
    """The filter that a search means. Raises BadFilter."""
    return SpoolFilter.parse({term.field: term.value for term in understand(text)})


def _term(name: str, value: str) -> Term:
    field = FIELDS[name]
    field.parse(value)
    phrase = field.phrase.format(value)
    return Term(name, value, f"{phrase[:1].upper()}{phrase[1:]}.")


def _recognise(word: str, finds: Finds) -> tuple[str, str]:
    prefix, colon, rest = word.partition(":")
    if colon and prefix.lower() in _PREFIXES:
        return _PREFIXES[prefix.lower()], rest.strip('"')
    word = word.strip('"')
    if word == "<>":
        return "sender", word
    if _MESSAGE_ID.fullmatch(word):
        return "message-id", word
    if _FILE_NAME.fullmatch(word):
        return "id", word
    try:
        return "ip", str(ipaddress.ip_address(word.strip("[]")))
    except ValueError:
        pass
    if word.startswith("@") and _is_domain(word[1:]):
        return "sender-domain", word[1:]
    if "@" in word:
        return ("sender" if "*" in word else _meant(word, finds)), word
    return ("domain" if _is_domain(word) else "subject"), word


def _is_domain(word: str) -> bool:
    try:
        return "." in word.strip(".") and not word.replace(".", "").isdigit() and bool(normalise_domain(word))
    except InvalidAddress:
        return False


def _meant(word: str, finds: Finds) -> str:
    """What a word with an @ is: an address that there is mail from, or else to, or a Message-ID that is there."""
    names = ("sender", "recipient", "message-id") if _is_address(word) else ("message-id",)
    return next((name for name in names if finds(name, word)), "sender" if len(names) > 1 else "subject")


def _is_address(word: str) -> bool:
    try:
        split_address(word)
    except InvalidAddress:
        return False
    return True


def in_spool(name: str, value: str) -> bool:
    """Whether the spool has a message for which one condition holds: a look at an index or two."""
    try:
        return bool(count(SpoolFilter.parse({name: value}), 1).number)
    except BadFilter:
        return False


__all__ = ["BadFilter", "Term", "from_text", "understand"]
