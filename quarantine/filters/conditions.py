"""The filter itself: what it asks of quarantined messages, and the query that it makes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import domain_of, key_of
from quarantine.models.item import Item, ItemAddress, ItemKind, ItemState
from spool.filters import FIELDS, BadFilter, Field, parse_age
from spool.filters.base import COMPARED, MessageFilter, with_message_id, with_words
from spool.filters.pages import SLACK
from spool.filters.units import format_age

_TAKEN = (
    "sender",
    "recipient",
    "ip",
    "auth-user",
    "id",
    "message-id",
    "subject",
    "exact-subject",
    "direction",
    "larger",
    "smaller",
)


def _text(text: str) -> str:
    parsed: str = FIELDS["subject"].parse(text)
    return parsed


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise BadFilter(_("%(text)s is not a score; write 12.5.") % {"text": f"{text!r}"})
    return score


ITEM_FIELDS: dict[str, Field] = {
    **{name: FIELDS[name] for name in _TAKEN},
    "why": Field("why", "why", _lazy("caught for “{}”"), _lazy("signature, or words of the reason"), "TEXT", _text),
    "min-score": Field(
        "min-score",
        "min_score",
        _lazy("with a score of {} or more"),
        _lazy("at least this score"),
        "N",
        _score,
        "{:g}".format,
    ),
    "older": Field(
        "older",
        "older_than",
        _lazy("in quarantine for more than {}"),
        _lazy("longer in quarantine than"),
        "AGE",
        parse_age,
        format_age,
    ),
    "younger": Field(
        "younger",
        "younger_than",
        _lazy("in quarantine for less than {}"),
        _lazy("not as long in quarantine as"),
        "AGE",
        parse_age,
        format_age,
    ),
}


@dataclass(frozen=True, slots=True)
class ItemFilter(MessageFilter):
    """Conditions in one of the quarantines or (kind "") in both. Only what is held can be meant."""

    conditions = ITEM_FIELDS
    compared = {**COMPARED, "min_score": "score__gte"}
    scope = {"kind": "kind"}
    since = "at"

    why: str = ""
    min_score: float | None = None
    kind: str = ""

    def __post_init__(self) -> None:
        if self.kind and self.kind not in ItemKind.values:
            raise BadFilter(
                _("%(kind)s is no quarantine; there are %(values)s.")
                % {"kind": f"{self.kind!r}", "values": ", ".join(ItemKind.values)}
            )

    def sentence(self) -> str:
        """In words: "messages in the Spam Quarantine, from ann@example.org"."""
        where = (
            (_("the %(kind)s Quarantine") % {"kind": ItemKind(self.kind).label}) if self.kind else _("both quarantines")
        )
        return ", ".join([(_("messages in %(where)s") % {"where": where}), *self.phrases()])

    @property
    def is_empty(self) -> bool:
        return not self.texts()

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
        return found | {name: condition for name, condition in self.comparisons().items() if name in _INDEXED}

    def _scanned(self) -> list[Q]:
        found = [*with_words("subject", self.subject), *with_words("why", self.why)]
        for column, pattern in (("sender", self.sender), ("auth_user", self.auth_user)):
            if "*" in pattern and not (column == "sender" and _sender(pattern) is not None):
                found.append(Q(**{f"{column}__wild": pattern}))
        if self.recipient:
            condition = _recipient(self.recipient)
            if condition is None:
                found.append(Q(addresses__wild_line=self.recipient))
            else:
                found.append(Q(Exists(ItemAddress.objects.filter(condition, item_id=OuterRef("id")))))
        return found + [condition for name, condition in self.comparisons().items() if name not in _INDEXED]


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
