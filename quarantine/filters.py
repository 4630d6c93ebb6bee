"""Which quarantined messages are meant: the filter of page, command and bulk job. It reads, and changes nothing.

It speaks the language of spool.filters, and has fewer words. Lists go from the newest on, and are never cut off at a
number: a page is read along an index, by the id behind which it begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from quarantine.models.item import Item, ItemKind, ItemState
from spool.filters import FIELDS, BadFilter, Count, Field, parse_age, understand
from spool.filters.fields import as_texts, of_options, parse_all
from spool.filters.units import format_age
from spool.models.entry import Direction

PAGE_SIZE = 50
_TAKEN = ("sender", "recipient", "ip", "auth-user", "id", "subject", "direction", "larger", "smaller")


def _text(text: str) -> str:
    parsed: str = FIELDS["subject"].parse(text)
    return parsed


def _score(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadFilter(f"{text!r} is not a score; write 12.5.") from error


ITEM_FIELDS: dict[str, Field] = {
    **{name: FIELDS[name] for name in _TAKEN},
    "why": Field("why", "why", "caught for “{}”", "signature, or words of the reason", "TEXT", _text),
    "min-score": Field(
        "min-score", "min_score", "with a score of {} or more", "at least this score", "N", _score, "{:g}".format
    ),
    "older": Field(
        "older", "older_than", "in quarantine for more than {}", "longer in quarantine than", "AGE", parse_age,
        format_age,
    ),
    "younger": Field(
        "younger", "younger_than", "in quarantine for less than {}", "not as long in quarantine as", "AGE",
        parse_age, format_age,
    ),
}  # fmt: skip
SORTS = {"-id": "at", "id": "at", "-size_bytes": "size_bytes", "size_bytes": "size_bytes"}


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Conditions that all hold, in one of the quarantines or (kind "") in both. Only what is held can be meant."""

    kind: str = ""
    sender: str = ""
    recipient: str = ""
    ip: str = ""
    auth_user: str = ""
    file_name: str = ""
    subject: str = ""
    why: str = ""
    direction: int | None = None
    larger_than: int | None = None
    smaller_than: int | None = None
    min_score: float | None = None
    older_than: timedelta | None = None
    younger_than: timedelta | None = None
    # What anybody may see who is not a system administrator: mail from or to this domain.
    only_domain: str = ""

    @classmethod
    def parse(cls, values: Mapping[str, str], kind: str = "") -> ItemFilter:
        """From texts by field name; unknown names and empty texts are passed over. Raises BadFilter."""
        if kind and kind not in ItemKind.values:
            raise BadFilter(f"{kind!r} is no quarantine; there are {', '.join(ItemKind.values)}.")
        return cls(kind=kind, **parse_all(ITEM_FIELDS, values))

    @classmethod
    def from_query(cls, query: QueryDict, kind: str) -> ItemFilter:
        """From a URL's query. Raises BadFilter."""
        return cls.parse({name: query.get(name, "") for name in ITEM_FIELDS}, kind)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> ItemFilter:
        """From a command's options. Raises BadFilter."""
        return cls.parse(of_options(ITEM_FIELDS, options), str(options.get("kind") or ""))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ItemFilter:
        """The reverse of `to_json`. Raises BadFilter."""
        return cls.parse({name: str(text) for name, text in values.items()}, str(values.get("kind", "")))

    def to_json(self) -> dict[str, str]:
        return {**self.texts(), **({"kind": self.kind} if self.kind else {})}

    def texts(self) -> dict[str, str]:
        """What is asked for, as people write it, by field name."""
        return as_texts(ITEM_FIELDS, self)

    def sentence(self) -> str:
        """In words: "messages in the Spam Quarantine, from ann@example.org"."""
        where = f"the {ItemKind(self.kind).label} Quarantine" if self.kind else "both quarantines"
        parts = [ITEM_FIELDS[name].words.format(text) for name, text in self.texts().items()]
        return ", ".join([f"messages in {where}", *parts])

    @property
    def is_empty(self) -> bool:
        return not self.texts()

    def with_values(self, **values: Any) -> ItemFilter:
        return replace(self, **values)

    def apply(self, items: QuerySet[Item]) -> QuerySet[Item]:
        """`items` that are held and meet all conditions."""
        items = items.filter(state=ItemState.HELD)
        if self.kind:
            items = items.filter(kind=self.kind)
        for condition in self._conditions():
            items = items.filter(condition)
        return items

    def _conditions(self) -> list[Q]:
        now = timezone.now()
        found = [Q(subject__icontains=word) for word in self.subject.split()]
        found += [Q(why__icontains=word) for word in self.why.split()]
        if self.sender:
            found.append(_sender(self.sender))
        if self.recipient:
            found.append(_recipient(self.recipient))
        if self.only_domain:
            found.append(Q(sender_domain=self.only_domain) | _recipient(f"*@{self.only_domain}"))
        compared: dict[str, Any] = {
            "client_ip": self.ip or None, "auth_user__iexact": self.auth_user or None,
            "file_name": self.file_name or None, "direction": self.direction, "size_bytes__gt": self.larger_than,
            "size_bytes__lt": self.smaller_than, "score__gte": self.min_score,
            "at__lt": now - self.older_than if self.older_than is not None else None,
            "at__gt": now - self.younger_than if self.younger_than is not None else None,
        }  # fmt: skip
        return found + [Q(**{lookup: value}) for lookup, value in compared.items() if value is not None]


def _sender(pattern: str) -> Q:
    if pattern == "<>":
        return Q(sender="")
    if "*" in pattern:
        return Q(sender__iregex=f"^{_regex(pattern)}$")
    return Q(sender__in=sorted({pattern, pattern.lower()}))


def _recipient(pattern: str) -> Q:
    """A whole line of the addresses."""
    if "*" not in pattern:
        return Q(addresses__iregex=rf"(^|\n){re.escape(pattern)}($|\n)", addresses__icontains=pattern)
    return Q(addresses__iregex=rf"(^|\n){_regex(pattern)}($|\n)")


def _regex(pattern: str) -> str:
    return r"[^\n]*".join(re.escape(part) for part in pattern.split("*"))


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some items in order. `next` goes on behind them, `previous` before them; both are empty at an end."""

    items: list[Item]
    next: str = ""
    previous: str = ""


def page(
    chosen: ItemFilter, *, sort: str = "-id", after: str = "", before: str = "", size: int = PAGE_SIZE
) -> ItemPage:
    """Items that `chosen` matches, behind the place `after` or in front of `before`. Raises BadFilter."""
    if sort not in SORTS:
        raise BadFilter(f"{sort!r} is not an order; there are {', '.join(SORTS)}.")
    backwards = bool(before)
    column, descending = sort.lstrip("-"), sort.startswith("-") is not backwards
    items = chosen.apply(Item.objects.defer("entry", "recipients", "findings", "addresses"))
    items = items.order_by(*(f"{'-' if descending else ''}{name}" for name in dict.fromkeys((column, "id"))))
    if after or before:
        value, number = _place(after or before, column)
        beyond = "lt" if descending else "gt"
        further = Q(**{f"id__{beyond}": number})
        if column != "id":
            further = Q(**{f"{column}__{beyond}": value}) | Q(**{column: value}) & further
        items = items.filter(further)
    found = list(items[: size + 1])
    more, shown = len(found) > size, found[:size]
    if backwards:
        shown.reverse()
    if not shown:
        return ItemPage([])
    first, last = (f"{getattr(item, column)}.{item.pk}" for item in (shown[0], shown[-1]))
    return ItemPage(shown, last if more or backwards else "", first if (more if backwards else after) else "")


def count(chosen: ItemFilter, limit: int = 10_000) -> Count:
    """How many match, counted up to `limit`."""
    number = chosen.apply(Item.objects.all()).order_by()[: limit + 1].count()
    return Count(min(number, limit), number > limit)


def search(text: str) -> dict[str, str]:
    """What the words of the search box are taken for, as texts by field name. Raises BadFilter."""
    found: dict[str, str] = {}
    words = []
    for term in understand(text):
        if term.field == "sender-domain":
            found["sender"] = f"*@{term.value}"
        elif term.field == "domain":
            found["recipient"] = f"*@{term.value}"
        elif term.field in ITEM_FIELDS:
            found[term.field] = term.value
        else:
            words.append(term.value)
    if words:
        found["subject"] = " ".join([found.get("subject", ""), *words]).strip()
    ItemFilter.parse(found)
    return found


def _place(text: str, column: str) -> tuple[int, int]:
    value, _, number = text.rpartition(".")
    if not (value.isascii() and value.isdigit() and number.isascii() and number.isdigit() and len(text) < 40):
        raise BadFilter("That place in the list does not exist; begin at its first page.")
    return int(value), int(number)


def directions() -> list[str]:
    """What the direction can be, for a page's choice."""
    return [label.lower() for label in Direction.labels]
