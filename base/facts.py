"""Sentences of ours that are kept: as their English template and the values in its places, in a column of JSON.

Whoever looks at one reads it in their own language; commands, logs and mail to strangers have it in English. What an
earlier version kept as a finished sentence is shown as it stands.

    fact("%(host)s has no address in the DNS", host=name)
    counted_fact("Got %(number)s bounce.", "Got %(number)s bounces.", 12)

The templates are collected for the catalogues (`make messages`) like those of gettext.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from django.utils.translation import gettext, ngettext

from base.languages import in_source
from base.numbers import grouped
from base.texts import Text

# Of what somebody else wrote, so much stands in a sentence.
_LONGEST: Final = 300

# A whole number is grouped as people read it: what only looks like one, a port or a code, is text.
Value: TypeAlias = "str | int | Fact | Sequence[str | Fact]"


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence, or a part of one, that is put into a language when it is shown: `str` says it in the active one.

    `many` is the template for any number of things but one; how many they are is `values["number"]`. A value named
    `sentence` begins with a capital letter, whatever it is in the middle of others.
    """

    template: str
    many: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        number = self.values.get("number")
        if self.many and isinstance(number, int):
            said = ngettext(self.template, self.many, number)
        else:
            said = gettext(self.template)
        try:
            return said % {name: _shown(name, value) for name, value in self.values.items()}
        except (KeyError, ValueError, TypeError):
            # Of a version that has other places in it.
            return said

    def __bool__(self) -> bool:
        return bool(self.template)

    @property
    def english(self) -> str:
        """For programs, logs and columns that several versions read."""
        return in_source(lambda: self)

    @property
    def kept(self) -> dict[str, Any]:
        """What is stored."""
        many = {"many": self.many} if self.many else {}
        return {"say": self.template, **many, "with": {name: _stored(value) for name, value in self.values.items()}}


class FactError(Exception):
    """An error whose message is a fact: kept, or shown in the language of whoever did it."""

    def __init__(self, fact: Fact) -> None:
        super().__init__(fact)
        self.fact = fact


NOTHING: Final = Fact("")


def fact(template: str, /, **values: Value) -> Fact:
    """A sentence with named places."""
    return Fact(template, "", values)


def counted_fact(one: str, many: str, number: int, /, **values: Value) -> Fact:
    """A sentence about so many things, which stand in it as `%(number)s`."""
    return Fact(one, many, {"number": number, **values})


def few(names: Sequence[str], most: int) -> Value:
    """ "ann, bob and 1,998 more": a value that has at most so many of them by name."""
    rest = len(names) - most
    return fact("%(names)s and %(number)s more", names=names[:most], number=rest) if rest > 0 else list(names)


def verbatim(value: Value) -> Fact:
    """What somebody else wrote, or names of things: it is in no language."""
    return Fact("%(text)s", "", {"text": value})


def label(text: Text) -> Fact:
    """A label that has its place in the catalogues already, as of choices and fields."""
    return Fact(in_source(lambda: text))


def of_error(error: Exception, say: Callable[[Exception], str] = str) -> Fact:
    """What an error says: the fact that it was raised with, else its sentence.

    A sentence of ours that has no places in it is shown in the reader's language too; any other stays as it was said.
    """
    if isinstance(error, FactError):
        return error.fact
    first = error.args[0] if error.args else None
    return first if isinstance(first, Fact) else Fact(in_source(lambda: say(error)).replace("%", "%%"))


def whole(of: Fact) -> Fact:
    """A sentence with a capital letter and its full stop, of one that has neither."""
    return Fact("%(sentence)s.", "", {"sentence": of})


def kept_as(stored: Any) -> Fact:
    """What was stored. Never raises: what is no fact, as a finished sentence of an earlier version, stays as it is."""
    if not isinstance(stored, Mapping):
        return verbatim(str(stored)) if stored else NOTHING
    given = stored.get("with")
    values = {str(name): _read(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    return Fact(str(stored.get("say", "")), str(stored.get("many", "")), values)


def shown(stored: Iterable[Any]) -> list[str]:
    """Several that were stored, in the active language."""
    return [str(kept_as(one)) for one in stored]


def kept(facts: Iterable[Fact]) -> list[dict[str, Any]]:
    """Several, as they are stored."""
    return [one.kept for one in facts]


def shown_for(text: str, stored: Any) -> str:
    """What is said in English in a column, in the active language, by the fact that was stored beside it.

    A version that knows of no facts may have written the column since: what it wrote is shown then.
    """
    of = kept_as(stored)
    return str(of) if text and of.english.startswith(text) else text


def _shown(name: str, value: Value) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, int):
        text = grouped(value)
    else:
        text = str(value) if isinstance(value, Fact) else ", ".join(map(str, value))
    return f"{text[:1].upper()}{text[1:]}" if name == "sentence" else text


def _stored(value: Value) -> Any:
    if isinstance(value, Fact):
        return value.kept
    if isinstance(value, int):
        return value
    return value[:_LONGEST] if isinstance(value, str) else [_stored(one) for one in value]


def _read(value: Any) -> Value:
    if isinstance(value, Mapping):
        return kept_as(value)
    if isinstance(value, list):
        return [kept_as(one) if isinstance(one, Mapping) else str(one) for one in value]
    return value if isinstance(value, int) else str(value)
