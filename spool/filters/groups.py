"""Messages by what they have in common: how many, since when and until when, in a time that is bounded.

The newest are grouped, however many there are; whoever asks is told when that was not all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db.models import Count, Expression, F, Max, Min, Model, QuerySet, Sum
from django.db.models.functions import Coalesce

from spool.filters.conditions import SpoolFilter
from spool.filters.pages import Plan, bounds, is_straight, of_few
from spool.models.entry import Entry

M = TypeVar("M", bound=Model)
# Messages that are looked at, and for somebody who asks for more.
LOOKED: Final = 20_000
LOOKED_PATIENTLY: Final = 200_000
# Groups that are shown, and rows of recipients that are read for them.
MOST: Final = 100
MOST_RECIPIENTS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Group:
    """Messages whose `key` is the same."""

    key: str
    number: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Groups:
    """The largest groups first. `looked` is how many messages were looked at when that was not all (0: all were);
    `more` says that there are smaller groups.
    """

    groups: list[Group]
    looked: int = 0
    more: bool = False


# What the messages of the spool can be grouped by. Senders as their filter compares them: by their keys.
KEYS: Final[dict[str, Expression | F]] = {
    "sender": Coalesce("sender_key", "sender"),
    "subject": F("subject"),
    "destination": F("recipients__domain"),
    "error": F("error_group"),
}


def groups_of(chosen: SpoolFilter, by: str, *, patient: bool = False) -> Groups:
    """The messages that `chosen` matches, by one of KEYS."""
    rows, looked = _newest(chosen, LOOKED_PATIENTLY if patient else LOOKED)
    if by == "destination":
        rows, looked = _of_few_recipients(rows, looked)
    return grouped(rows, KEYS[by], "created", looked)


def grouped(rows: QuerySet[M], key: Expression | F, since: str, looked: int) -> Groups:
    """`rows` by `key`, of which there is a bounded number; `since` is the column of their time."""
    found = (
        rows.order_by()
        .annotate(group_key=key)
        .values("group_key")
        .annotate(group_size=Count("id", distinct=True), oldest=Min(since), newest=Max(since))
        .order_by("-group_size", "group_key")[: MOST + 1]
    )
    groups = [Group(row["group_key"] or "", row["group_size"], row["oldest"], row["newest"]) for row in found]
    return Groups(groups[:MOST], looked, len(groups) > MOST)


def _newest(chosen: SpoolFilter, number: int) -> tuple[QuerySet[Entry], int]:
    """The newest of what is meant, and how many messages are looked at when there are more."""
    few = Plan(chosen).few
    if few:
        return of_few(chosen, few), 0
    # Along the index of the one condition, where its entries are in the order of their ids; of all, where they are not.
    along = (
        chosen.apply(Entry.objects.all()) if is_straight(chosen) and not chosen.by_recipients else Entry.objects.all()
    )
    edge = along.order_by("-id").values_list("id", flat=True)[number : number + 1].first()
    lowest, highest = bounds(chosen)
    if edge is None or edge < lowest:
        return chosen.apply(Entry.objects.all(), (lowest, highest)), 0
    return chosen.apply(Entry.objects.all(), (edge + 1, highest)), number


def _of_few_recipients(rows: QuerySet[Entry], looked: int) -> tuple[QuerySet[Entry], int]:
    """Fewer messages, where they have more recipients than are read."""
    sums: dict[str, Any] = rows.order_by().aggregate(
        messages=Count("id"), recipients=Sum("recipients_total", default=0)
    )
    if sums["recipients"] <= MOST_RECIPIENTS:
        return rows, looked
    fewer = max(1, sums["messages"] * MOST_RECIPIENTS // sums["recipients"])
    edge = rows.order_by("-id").values_list("id", flat=True)[fewer : fewer + 1].first()
    return (rows, looked) if edge is None else (rows.filter(id__gt=edge), fewer)


__all__ = ["KEYS", "MOST", "Group", "Groups", "grouped", "groups_of"]
