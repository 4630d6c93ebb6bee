"""The one search box: what a word in it is taken for, and a sentence that says so."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from accounts.addresses import InvalidAddress, normalise_domain, split_address
from spool.filters.conditions import SpoolFilter
from spool.filters.fields import FIELDS, BadFilter
from spool.models.recipient import Recipient

_FILE_NAME = re.compile(r"[0-9a-hjkmnp-tv-z]{26}(?:\.eml)?", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>\s]+@[^<>\s]+>")
_PREFIXES = {
    "from": "sender", "to": "recipient", "subject": "subject", "ip": "ip", "user": "auth-user", "error": "error",
    "status": "status", "id": "message-id", "file": "id", "domain": "domain", "older": "older", "younger": "younger",
    "larger": "larger", "smaller": "smaller", "priority": "priority", "hold": "hold", "direction": "direction",
}  # fmt: skip
MOST_TERMS = 10


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that was understood: the field it sets, to what, and that in words."""

    field: str
    value: str
    sentence: str


def understand(text: str) -> list[Term]:
    """What the words of a search are taken for. Raises BadFilter for a `from:`, `older:` and such that makes no sense.

    `ann@example.org` is a sender (`to:` makes it a recipient), `@example.org` a sender's domain, `example.org` a
    recipient's; an IP is the client's; what looks like a file name or a Message-ID is one; the rest is in the subject.
    """
    terms: list[Term] = []
    words: list[str] = []
    for word in re.findall(r'(?:[a-z-]+:)?"[^"]*"|\S+', text)[:MOST_TERMS]:
        name, value = _recognise(word)
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
    return Term(name, value, field.words.format(value).capitalize() + ".")


def _recognise(word: str) -> tuple[str, str]:
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
        if "*" in word:
            return "sender", word
        try:
            split_address(word)
        except InvalidAddress:
            return "subject", word
        return ("recipient" if _is_only_recipient(word) else "sender"), word
    return ("domain" if _is_domain(word) else "subject"), word


def _is_domain(word: str) -> bool:
    try:
        return "." in word.strip(".") and not word.replace(".", "").isdigit() and bool(normalise_domain(word))
    except InvalidAddress:
        return False


def _is_only_recipient(address: str) -> bool:
    """Whether mail to it is in the spool and none from it: two looks at an index."""
    from spool.models.entry import Entry

    if SpoolFilter(sender=address).apply(Entry.objects.all()).exists():
        return False
    return Recipient.objects.filter(address__in={address, address.lower()}).exists()


__all__ = ["BadFilter", "Term", "from_text", "understand"]
