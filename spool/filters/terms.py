"""The one search box: what a word in it is taken for, and a sentence that says so."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from accounts.addresses import InvalidAddress, normalise_domain, split_address
from spool.filters.conditions import SpoolFilter
from spool.filters.fields import FIELDS, BadFilter, Field, unknown
from spool.filters.pages import count

_FILE_NAME = re.compile(r"[0-9a-hjkmnp-tv-z]{26}(?:\.eml)?", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>\s]+@[^<>\s]+>")
_OPERATOR = re.compile(r"([A-Za-z][A-Za-z-]*):(?!//)(.*)", re.DOTALL)
# What may stand before a colon, besides the names of the conditions, and which condition it is.
SHORT_OPERATORS: Final = {"from": "sender", "to": "recipient", "user": "auth-user", "file": "id"}
# `id:` is what people call a Message-ID; `file:` is the condition of that name.
OPERATORS: Final = {**{name: name for name in FIELDS}, **SHORT_OPERATORS, "id": "message-id"}
MOST_TERMS = 40
# Whether there is mail for which a condition, by its name, has a value.
Finds = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that was understood: the field it sets, to what, and that in words."""

    field: str
    value: str
    sentence: str


def understand(
    text: str,
    finds: Finds | None = None,
    operators: Mapping[str, str] = OPERATORS,
    fields: Mapping[str, Field] = FIELDS,
) -> list[Term]:
    """What the words of a search are taken for. Raises BadFilter for a `from:`, `older:` and such that makes no sense.

    `ann@example.org` is a sender (`to:` makes it a recipient), `@example.org` a sender's domain, `example.org` a
    recipient's; an IP is the client's; what looks like a file name or a Message-ID is one; the rest is in the subject.
    A word that may be one or the other is what there is mail of: `finds` says so, of the spool when it is not given.
    `operators` are the conditions that may be named, by what stands before the colon, and `fields` what they are; in
    quotation marks a colon is nothing but a colon.
    """
    terms: dict[str, Term] = {}
    words: list[str] = []
    for word in words_of(text, operators):
        name, value = _recognise(word, finds or in_spool, operators)
        if name == "subject":
            words.append(value)
            continue
        term = _term(fields[name], value)
        if terms.setdefault(name, term).value != value:
            raise BadFilter(
                _("%(terms)s and %(value)s are the same condition (%(help)s); search for one of them.")
                % {"terms": terms[name].value, "value": value, "help": fields[name].help}
            )
    if words:
        terms["subject"] = _term(fields["subject"], " ".join(words))
    return list(terms.values())


def from_text(text: str) -> SpoolFilter:
    """The filter that a search means. Raises BadFilter."""
    return SpoolFilter.parse({term.field: term.value for term in understand(text)})


def _term(field: Field, value: str) -> Term:
    field.parse(value)
    phrase = field.phrase.format(value)
    return Term(field.name, value, f"{phrase[:1].upper()}{phrase[1:]}.")


def words_of(text: str, operators: Mapping[str, str]) -> list[str]:
    """The words of a search; what follows an operator and a space belongs to the operator. Raises BadFilter."""
    found: list[str] = []
    for word in re.findall(r'(?:[A-Za-z-]+:)?"[^"]*"|\S+', text):
        if found and found[-1].endswith(":") and found[-1][:-1].lower() in operators:
            found[-1] += word
        else:
            found.append(word)
    if len(found) > MOST_TERMS:
        raise BadFilter(_("A search has at most %(most_terms)s words.") % {"most_terms": MOST_TERMS})
    return found


def is_operator(word: str) -> bool:
    """Whether a word says by a colon which condition it is."""
    return bool(_OPERATOR.fullmatch(word))


def _recognise(word: str, finds: Finds, operators: Mapping[str, str]) -> tuple[str, str]:
    """The condition that a word is, and its value. Raises BadFilter for an operator that does not exist."""
    try:
        return "ip", str(ipaddress.ip_address(word.strip("[]")))
    except ValueError:
        pass
    if named := _OPERATOR.fullmatch(word):
        name, value = named[1].lower(), named[2].strip('"')
        if name in operators and not value:
            raise BadFilter(
                _('%(name)s: has nothing behind it. To look for the word itself, write "%(word)s" in quotation marks.')
                % {"name": name, "word": word}
            )
        if name in operators:
            return operators[name], value
        if value:
            error = unknown("operator", name, operators, ":")
            raise BadFilter(
                _('%(error)s To look for it in the subject, put it in quotation marks: "%(word)s".')
                % {"error": error, "word": word[:60]}
            )
    word = word.strip('"')
    if word == "<>":
        return "sender", word
    if _MESSAGE_ID.fullmatch(word):
        return "message-id", word
    if _FILE_NAME.fullmatch(word):
        return "id", word
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


__all__ = ["OPERATORS", "SHORT_OPERATORS", "BadFilter", "Term", "from_text", "is_operator", "understand", "words_of"]
