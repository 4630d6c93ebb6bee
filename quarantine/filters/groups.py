"""Quarantined messages by sender, subject, or what caught them; the newest, where there are very many."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from django.db.models import Expression, F, QuerySet
from django.db.models.functions import Coalesce

from quarantine.filters.conditions import ItemFilter
from quarantine.filters.pages import Plan
from quarantine.models.item import Item, ItemKind
from spool.filters.groups import LOOKED, LOOKED_PATIENTLY, MOST, Group, Groups, grouped

KEYS: Final[dict[str, Expression | F]] = {
    "sender": Coalesce("sender_key", "sender"),
    "subject": F("subject"),
    "name": F("why"),
}
# "12.5 points: Phrase 8, DNSBL 4.5", as quarantine.spam.score writes it; a long one is cut off.
_RULE: Final = re.compile(r"(?:^|points: |, )([^,:]+?) -?\d+(?:\.\d+)?(?=,|$)")


def groups_of(chosen: ItemFilter, by: str, *, patient: bool = False) -> Groups:
    """The items that `chosen` matches, by one of KEYS or, of spam, by "rule": each that gave it points."""
    rows, looked = _newest(chosen, LOOKED_PATIENTLY if patient else LOOKED)
    return _by_rule(rows, looked) if by == "rule" else grouped(rows, KEYS[by], "at", looked)


def rules_in(why: str) -> list[str]:
    """The rules that a reason names."""
    return list(dict.fromkeys(_RULE.findall(why)))


def _newest(chosen: ItemFilter, number: int) -> tuple[QuerySet[Item], int]:
    """The newest of what is meant, and how many items are looked at when there are more."""
    few = Plan(chosen).few
    if few is not None:
        return chosen.apply(Item.objects.filter(id__in=few)), 0
    along = chosen.apply(Item.objects.all()) if chosen.straight else chosen.within(chosen.held(Item.objects.all()))
    edge = along.order_by("-id").values_list("id", flat=True)[number : number + 1].first()
    rows = chosen.apply(Item.objects.all())
    return (rows, 0) if edge is None else (rows.filter(id__gt=edge), number)


def _by_rule(rows: QuerySet[Item], looked: int) -> Groups:
    found: dict[str, tuple[int, datetime, datetime]] = {}
    for why, at in rows.order_by().values_list("why", "at").iterator(chunk_size=2_000):
        for rule in rules_in(why):
            number, oldest, newest = found.get(rule, (0, at, at))
            found[rule] = number + 1, min(oldest, at), max(newest, at)
    groups = sorted((Group(rule, *figures) for rule, figures in found.items()), key=lambda one: (-one.number, one.key))
    return Groups(groups[:MOST], looked, len(groups) > MOST)


# What each quarantine is grouped by.
OF_KIND: Final = {ItemKind.SPAM: ("sender", "subject", "rule"), ItemKind.VIRUS: ("name", "sender", "subject")}
