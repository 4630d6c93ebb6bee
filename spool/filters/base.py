"""What the filters of all places have in common: what is asked of any message, and how that is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar, Final, Self

from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.http import urlencode

from spool.filters.fields import Field, as_texts, of_options, parse_all

# Attributes whose condition compares one column, and by which lookup.
COMPARED: Final = {
    "ip": "client_ip",
    "file_name": "file_name",
    "direction": "direction",
    "exact_subject": "subject",
    "larger_than": "size_bytes__gt",
    "smaller_than": "size_bytes__lt",
}
# What a page's URL may say besides conditions.
OF_PAGES: Final = frozenset({"q", "sort", "after", "before", "message", "patient", "group"})


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Conditions that all hold; empty ones are not asked about. `*` in an address stands for anything.

    A place where messages are adds what else can be asked there, and says in `conditions` how all of it is written.
    Attributes without a field are not for anybody to choose: how far somebody sees, or which place is meant. Addresses
    are compared by their keys.
    """

    conditions: ClassVar[Mapping[str, Field]]
    # Lookups by attribute, as in COMPARED; what is asked of ages is asked of the moment `since`.
    compared: ClassVar[Mapping[str, str]] = COMPARED
    # The attributes without a field, by their keys in JSON.
    scope: ClassVar[Mapping[str, str]] = {}
    since: ClassVar[str] = "created"

    sender: str = ""
    recipient: str = ""
    ip: str = ""
    auth_user: str = ""
    file_name: str = ""
    message_id: str = ""
    subject: str = ""
    exact_subject: str = ""
    direction: int | None = None
    larger_than: int | None = None
    smaller_than: int | None = None
    older_than: timedelta | None = None
    younger_than: timedelta | None = None

    @classmethod
    def parse(cls, values: Mapping[str, str], **scope: Any) -> Self:
        """From texts by field name; empty texts are passed over. Raises BadFilter, for unknown names too.

        `scope` are the attributes that have no field.
        """
        return cls(**parse_all(cls.conditions, values), **scope)

    @classmethod
    def from_query(cls, query: QueryDict, **scope: Any) -> Self:
        """From a URL's query. Raises BadFilter, also for a parameter that is neither a condition nor one of a page."""
        names = [name for name in query if name not in OF_PAGES and not name.startswith("_")]
        return cls.parse({name: query.get(name, "") for name in names}, **scope)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], **scope: Any) -> Self:
        """From a command's options. Raises BadFilter."""
        return cls.parse(of_options(cls.conditions, options), **scope)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The reverse of `to_json`. Raises BadFilter."""
        texts = {name: str(text) for name, text in values.items() if name not in cls.scope}
        return cls.parse(texts, **{name: str(values[key]) for key, name in cls.scope.items() if key in values})

    def to_json(self) -> dict[str, str]:
        """Texts by field name, and how far it reaches."""
        everywhere = type(self)()
        reach = {key: getattr(self, name) for key, name in self.scope.items()}
        return self.texts() | {
            key: value for key, value in reach.items() if value != getattr(everywhere, self.scope[key])
        }

    def to_query(self) -> str:
        """As the query of a URL, without "?"."""
        return urlencode(self.texts())

    def texts(self) -> dict[str, str]:
        """What is asked for, as people write it, by field name."""
        return as_texts(self.conditions, self)

    def sentence(self) -> str:
        """The whole in words."""
        raise NotImplementedError

    def phrases(self) -> list[str]:
        """The same in words, each of which completes the sentence "messages …"."""
        return [self.conditions[name].phrase.format(text) for name, text in self.texts().items()]

    def with_values(self, **values: Any) -> Self:
        """The same with other values, by attribute name."""
        return replace(self, **values)

    def comparisons(self) -> dict[str, Q]:
        """The conditions that compare one column with a value, by attribute."""
        found = {
            name: Q((lookup, getattr(self, name)))
            for name, lookup in self.compared.items()
            if getattr(self, name) not in ("", None)
        }
        now = timezone.now()
        if self.older_than is not None:
            found["older_than"] = Q((f"{self.since}__lt", now - self.older_than))
        if self.younger_than is not None:
            found["younger_than"] = Q((f"{self.since}__gt", now - self.younger_than))
        return found


def with_words(column: str, text: str) -> list[Q]:
    """Each word of a text is somewhere in the column."""
    return [Q((f"{column}__icontains", word)) for word in dict.fromkeys(text.split())]


def with_message_id(text: str) -> Q:
    """Of any table of messages: with or without its brackets."""
    bare = text.strip("<>")
    return Q(message_id__in=[text, bare, f"<{bare}>"])
