"""The filter itself: conditions that all hold, and their query. It speaks the language of spool.filters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from accounts.addresses import domain_of, key_of
from quarantine.models.item import Item, ItemAddress, ItemKind, ItemState
from spool.filters import FIELDS, BadFilter, Field, parse_age
from spool.filters.conditions import with_message_id
from spool.filters.fields import as_texts, of_options, parse_all
from spool.filters.pages import SLACK
from spool.filters.units import format_age

_TAKEN = ("sender", "recipient", "ip", "auth-user", "id", "message-id", "subject", "direction", "larger", "smaller")


def _text(text: str) -> str:
    parsed: str = FIELDS["subject"].parse(text)
    return parsed


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise BadFilter(f"{text!r} is not a score; write 12.5.")
    return score


ITEM_FIELDS: dict[str, Field] = {
    **{name: FIELDS[name] for name in _TAKEN},
    "why": Field("why", "why", "caught for “{}”", "signature, or words of the reason", "TEXT", _text),
    "min-score": Field(
        "min-score", "min_score", "with a score of {} or more", "at least this score", "N", _score, "{:g}".format
    ),
    "older": Field(
        "older",
        "older_than",
        "in quarantine for more than {}",
        "longer in quarantine than",
        "AGE",
        parse_age,
        format_age,
    ),
    "younger": Field(
        "younger",
        "younger_than",
        "in quarantine for less than {}",
        "not as long in quarantine as",
        "AGE",
        parse_age,
        format_age,
    ),
}


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Conditions that all hold, in one of the quarantines or (kind "") in both. Only what is held can be meant."""

    kind: str = ""
    sender: str = ""
    recipient: str = ""
    ip: str = ""
    auth_user: str = ""
    file_name: str = ""
    message_id: str = ""
    subject: str = ""
    why: str = ""
    direction: int | None = None
    larger_than: int | None = None
    smaller_than: int | None = None
    min_score: float | None = None
    older_than: timedelta | None = None
    younger_than: timedelta | None = None

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

    @property
    def indexed(self) -> dict[str, QuerySet[Any, int]]:
        """The conditions that an index answers, by attribute: for each the ids of the items that meet it alone."""
        held = self.held(Item.objects.all())
        found: dict[str, QuerySet[Any, int]] = {}
        for name, condition in self._by_index().items():
            found[name] = held.filter(condition).order_by(_INDEXED[name]).values_list("id", flat=True)
        addressed = _recipient(self.recipient) if self.recipient else None
        if addressed is not None:
            found["recipient"] = ItemAddress.objects.filter(addressed).values_list("item_id", flat=True)
        return found

    @property
    def straight(self) -> bool:
        """Whether one index has the matches in the order of their ids."""
        asked = {name for name in self.texts() if name not in ("older", "younger")}
        return not asked or (len(asked) == 1 and set(self._by_index()) <= _IN_ORDER and bool(self._by_index()))

    def held(self, items: QuerySet[Item]) -> QuerySet[Item]:
        """`items` that are in the quarantine that is meant, whatever else is asked."""
        items = items.filter(state=ItemState.HELD)
        return items.filter(kind=self.kind) if self.kind else items

    def apply(self, items: QuerySet[Item]) -> QuerySet[Item]:
        """`items` that are held and meet all conditions."""
        return self.meant(self.within(self.held(items)))

    def within(self, items: QuerySet[Item]) -> QuerySet[Item]:
        """`items` whose ids can be meant, by how long they have been in quarantine: ids grow with time."""
        now, known = timezone.now(), Item.objects.values_list("id", flat=True)
        if self.younger_than is not None:
            first = known.filter(at__gte=now - self.younger_than - SLACK).order_by("at", "id").first()
            items = items.filter(id__gte=first) if first is not None else items.none()
        if self.older_than is not None:
            last = known.filter(at__lte=now - self.older_than + SLACK).order_by("-at", "-id").first()
            items = items.filter(id__lte=last) if last is not None else items.none()
        return items

    def meant(self, items: QuerySet[Item]) -> QuerySet[Item]:
        """`items` that meet all conditions, of those that are held."""
        for condition in (*self._by_index().values(), *self._scanned()):
            items = items.filter(condition)
        return items

    def _by_index(self) -> dict[str, Q]:
        found: dict[str, Q] = {}
        if self.sender and (condition := _sender(self.sender)) is not None:
            found["sender"] = condition
        if self.auth_user and "*" not in self.auth_user:
            found["auth_user"] = Q(auth_user=key_of(self.auth_user))
        if self.message_id:
            found["message_id"] = with_message_id(self.message_id)
        compared: dict[str, tuple[str, Any]] = {
            "ip": ("client_ip", self.ip or None),
            "file_name": ("file_name", self.file_name or None),
            "larger_than": ("size_bytes__gt", self.larger_than),
            "smaller_than": ("size_bytes__lt", self.smaller_than),
        }
        return found | {name: Q(pair) for name, pair in compared.items() if pair[1] is not None}

    def _scanned(self) -> list[Q]:
        now = timezone.now()
        found = [Q(subject__icontains=word) for word in dict.fromkeys(self.subject.split())]
        found += [Q(why__icontains=word) for word in dict.fromkeys(self.why.split())]
        for column, pattern in (("sender", self.sender), ("auth_user", self.auth_user)):
            if "*" in pattern and not (column == "sender" and _sender(pattern) is not None):
                found.append(Q(**{f"{column}__wild": pattern}))
        if self.recipient:
            condition = _recipient(self.recipient)
            if condition is None:
                found.append(Q(addresses__wild_line=self.recipient))
            else:
                found.append(Q(Exists(ItemAddress.objects.filter(condition, item_id=OuterRef("id")))))
        compared: dict[str, Any] = {
            "direction": self.direction,
            "score__gte": self.min_score,
            "at__lt": now - self.older_than if self.older_than is not None else None,
            "at__gt": now - self.younger_than if self.younger_than is not None else None,
        }
        return found + [Q(**{lookup: value}) for lookup, value in compared.items() if value is not None]


# The column by which the index of each condition is entered; by those of _IN_ORDER, ids are in order in it.
_INDEXED = {
    "sender": "sender",
    "auth_user": "auth_user",
    "ip": "client_ip",
    "file_name": "file_name",
    "message_id": "message_id",
    "larger_than": "size_bytes",
    "smaller_than": "size_bytes",
}
_IN_ORDER = {"auth_user", "ip", "file_name"}


def _sender(pattern: str) -> Q | None:
    """By the index, which has the domain first; None for a pattern that it can't answer."""
    if pattern == "<>":
        return Q(sender_domain="", sender="")
    domain = domain_of(pattern)
    if "*" not in pattern:
        return _written_as(domain, key_of(pattern))
    return Q(sender_domain=domain) if pattern == f"*@{pattern.rpartition('@')[2]}" and "*" not in domain else None


def _written_as(domain: str, key: str) -> Q:
    """Of the sender with that key. Nearly always all of its mail is written as the key, and one index leads there."""
    items = Item.objects.order_by()
    plain, otherwise = Q(sender_domain=domain, sender=key), items.filter(sender_key=key)
    if not otherwise.exists():
        return plain
    # A union, for SQLite reads everything when two indexes could answer.
    written_so = items.filter(plain, state=ItemState.HELD, kind__in=ItemKind.values)
    return Q(id__in=written_so.values("id").union(otherwise.values("id")))


def _recipient(pattern: str) -> Q | None:
    """Of an ItemAddress; None for a pattern that no index answers."""
    domain = domain_of(pattern)
    if "*" not in pattern:
        return Q(address=key_of(pattern))
    return Q(domain=domain) if pattern.startswith("*@") and "*" not in domain and "@" not in pattern[2:] else None
