"""A list grouped: what its rows have in common, how many there are of each, and the filter that means just those."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.http import urlencode
from django.utils.translation import gettext as _

from base.numbers import grouped
from base.texts import Text
from spool.filters import BadFilter, Field
from spool.filters.groups import MOST, Group, Groups
from spool.filters.pages import rounded


@dataclass(frozen=True, slots=True)
class Grouping:
    """One way to group a list. `condition` is the filter's that means one group; `empty` stands for no text."""

    name: str
    label: Text
    condition: str
    empty: Text


@dataclass(frozen=True, slots=True)
class Row:
    """One group as the page shows it. `query` means its messages; it is empty where no filter can say that.

    `sender` is the address whose group it is, if that is what was grouped by.
    """

    text: str
    number: int
    oldest: datetime
    newest: datetime
    query: str
    sender: str


@dataclass(frozen=True, slots=True)
class Grouped:
    """All that the page shows of the groups. `note` says what was left out; `more` asks for a longer look."""

    by: Grouping
    rows: list[Row]
    note: str
    more: str


def grouping_of(name: str, groupings: Sequence[Grouping]) -> Grouping | None:
    """The one of that name."""
    return next((one for one in groupings if one.name == name), None)


def grouped_as(
    by: Grouping, found: Groups, conditions: Mapping[str, str], fields: Mapping[str, Field], *, patient: bool
) -> Grouped:
    """The groups of a list with these `conditions`, whose filter has these `fields`."""
    rows = [_row(by, group, conditions, fields[by.condition].parse) for group in found.groups]
    notes = []
    if found.looked:
        notes.append(_("Only the newest %(looked)s messages are grouped.") % {"looked": grouped(rounded(found.looked))})
    if found.more:
        notes.append(_("These are the %(most)s largest groups.") % {"most": MOST})
    more = urlencode({**conditions, "group": by.name, "patient": "1"}) if found.looked and not patient else ""
    return Grouped(by, rows, " ".join(notes), more)


def _row(by: Grouping, group: Group, conditions: Mapping[str, str], parse: Callable[[str], object]) -> Row:
    value = group.key or ("<>" if by.name == "sender" else "")
    # A star in an address would mean others as well.
    is_exact = bool(value) and not (by.name == "sender" and "*" in value)
    try:
        parse(value)
    except BadFilter:
        is_exact = False
    query = urlencode({**conditions, by.condition: value}) if is_exact else ""
    sender = value if by.name == "sender" and is_exact and "@" in value else ""
    return Row(group.key or str(by.empty), group.number, group.oldest, group.newest, query, sender)
