"""Which actions of the audit are meant, for page, command and export: conditions, orders, and pages of them.

Each condition is served by an index of base.audit.models. The one that leaves fewest is followed, the others are looked
at along it, for a bounded time; whoever asks is told how far that went.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, time, timedelta
from typing import Any, Self

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from base.audit.models import AuditEvent
from base.audit.results import Result
from spool.filters.keyset import Order, look, number, place_in_time, values_in_time
from spool.filters.units import BadFilter

PAGE_SIZE = 50
SORTS = ("-at", "at", "actor", "-actor", "action", "-action")
DEFAULT_SORT = "-at"
SOURCES = ("page", "shell", "system")
# How long rows are looked at for one page, when no index leads to all that is asked for.
LOOK_SECONDS = 0.25
# Rows of an export that are read at a time.
CHUNK = 1_000
_LONGEST = 320
# Of the conditions that are equalities, the first that is given is followed.
_LEADING = ("row", "key", "ip", "actor", "action", "kind", "source")
_TABLE = AuditEvent._meta.db_table


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """All conditions must hold; an empty one asks for nothing. `since` and `until` are moments, or days of the zone."""

    text: str = ""
    actor: str = ""
    action: str = ""
    source: str = ""
    result: str = ""
    kind: str = ""
    key: str = ""
    row: str = ""
    # A field of whose values before and after there is a record.
    changed: str = ""
    ip: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Of a URL or of options. Raises BadFilter."""
        names = [field.name for field in fields(cls)]
        texts = {name: str(given.get(name) or "").strip()[:_LONGEST].replace("\0", "") for name in names}
        found = cls(**texts)
        for name, choices in (("source", SOURCES), ("result", Result.values)):
            if texts[name] and texts[name] not in choices:
                raise BadFilter(
                    _("%(texts)s is none of %(choices)s.")
                    % {"texts": f"{texts[name]!r}", "choices": ", ".join(choices)}
                )
        if found.row:
            number(found.row)
        found.span()
        return found

    def texts(self) -> dict[str, str]:
        """The conditions that are given, for a URL."""
        return {field.name: text for field in fields(self) if (text := getattr(self, field.name))}

    def sentence(self) -> str:
        """In words, for the audit itself."""
        return ", ".join(f"{name} {text}" for name, text in self.texts().items()) or "everything"

    def span(self) -> tuple[datetime | None, datetime | None]:
        """The first moment that is meant, and the first that is not any more. Raises BadFilter."""
        return _moment(self.since, is_end=False), _moment(self.until, is_end=True)

    def can_be_sorted(self, sort: str) -> bool:
        """By time always. No index has what a condition leaves in the order of names, nor what a name is part of."""
        return sort.lstrip("-") == "at" or not self.texts()

    def leading(self) -> QuerySet[AuditEvent]:
        """The rows that an index leads to, in its order."""
        rows, followed = AuditEvent.objects.all(), self._followed()
        if not followed.keys() & {"row_id", "key"}:
            # What was done to each of many stands in the history of that one alone.
            rows = rows.filter(is_part=False)
        since, until = self.span()
        if since is not None:
            rows = rows.filter(at__gte=since)
        if until is not None:
            rows = rows.filter(at__lt=until)
        return rows.filter(**followed)

    def rest(self) -> Q:
        """The other conditions."""
        followed = self._followed()
        names = (*_LEADING, "result")
        equal = {name: text for name in names if (text := getattr(self, name)) and name not in (*followed, "row")}
        changed = Q(parameters__changed__has_key=self.changed) if self.changed else Q()
        return Q(**equal) & changed & (_contains(self.text) if self.text else Q())

    def _followed(self) -> dict[str, Any]:
        first = next((name for name in _LEADING if getattr(self, name)), "")
        followed = {first: getattr(self, first)} if first else {}
        if first == "row":
            return {"kind": self.kind, "row_id": int(self.row)}
        return {**followed, "kind": self.kind} if first == "key" and self.kind else followed


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some events in the order `sort`. `following` is where the next page begins, "" for the last.

    `looked` is the moment up to which rows were looked at, when that was not to the end.
    """

    events: list[AuditEvent]
    sort: str
    following: str = ""
    looked: datetime | None = None


def page(chosen: AuditFilter, sort: str = DEFAULT_SORT, after: str = "", size: int = PAGE_SIZE) -> AuditPage:
    """A page of what is meant, behind the place `after`; newest first where it can't be sorted as asked.

    Raises BadFilter.

    A text that is exactly an address, IP or name that something was done by, to or from is taken for that; any other
    is looked for in who, what, and on what.
    """
    if not chosen.can_be_sorted(sort):
        sort = DEFAULT_SORT
    order, behind = _order(sort), values_in_time(after, is_named=sort.lstrip("-") != "at")
    if chosen.text and (exact := _exactly(chosen)):
        return _merged(exact, order, sort, behind, size)
    meant = chosen.rest()
    if not meant:
        rows = list(order.of(chosen.leading(), behind)[: size + 1])
        return AuditPage(rows[:size], sort, place_of(rows[size - 1], sort) if len(rows) > size else "")
    found = look(chosen.leading(), lambda rows: rows.filter(meant), order, behind, size, LOOK_SECONDS)
    events = found.rows[:size]
    if len(found.rows) > size:
        return AuditPage(events, sort, place_of(events[-1], sort))
    if found.edge:
        return AuditPage(events, sort, place_in_time(found.edge), found.edge[-2])
    return AuditPage(events, sort)


def every(chosen: AuditFilter, sort: str = DEFAULT_SORT) -> Iterator[AuditEvent]:
    """All that is meant, however long that takes, a thousand at a time."""
    after = ""
    while True:
        found = page(chosen, sort, after, CHUNK)
        yield from found.events
        if not (after := found.following):
            return


def place_of(event: AuditEvent, sort: str) -> str:
    """The place of an event in an order, for a URL."""
    return place_in_time([getattr(event, column) for column in _order(sort).columns])


def _merged(exact: list[AuditFilter], order: Order, sort: str, behind: tuple[Any, ...], size: int) -> AuditPage:
    """Of several filters, each with its own index: the events of any of them."""
    rows: dict[int, AuditEvent] = {}
    for chosen in exact:
        for event in order.of(chosen.leading().filter(chosen.rest()), behind)[: size + 1]:
            rows[event.pk] = event
    column = sort.lstrip("-")
    ordered = sorted(
        rows.values(), key=lambda event: (getattr(event, column), event.at, event.pk), reverse=sort.startswith("-")
    )
    events = ordered[:size]
    return AuditPage(events, sort, place_of(events[-1], sort) if len(ordered) > size else "")


def _exactly(chosen: AuditFilter) -> list[AuditFilter]:
    """What the text is the whole name of: whom, what or where something was done by, to or from."""
    others = replace(chosen, text="")
    found = []
    for text in dict.fromkeys((chosen.text, chosen.text.lower())):
        for name in ("key", "actor", "ip"):
            narrowed = replace(others, **{name: text})
            # Asked as the page will ask: by the index.
            if getattr(chosen, name) in ("", text) and AuditFilter(**{name: text}).leading().exists():
                found.append(narrowed)
    return found


def _contains(text: str) -> Q:
    found = Q()
    for name in ("actor", "action", "on", "key", "ip", "via"):
        found |= Q((f"{name}__icontains", text))
    return found


def _order(sort: str) -> Order:
    if sort not in SORTS:
        raise BadFilter(_("The audit is sorted by %(sorts)s.") % {"sorts": ", ".join(SORTS)})
    column = sort.lstrip("-")
    return Order(_TABLE, ("at", "id") if column == "at" else (column, "at", "id"), sort.startswith("-"))


def _moment(text: str, *, is_end: bool) -> datetime | None:
    """`2026-11-30`, or `2026-11-30 14:00`; a day is meant as a whole."""
    if not text:
        return None
    try:
        moment, day = parse_datetime(text), parse_date(text)
        if day is not None:
            moment = datetime.combine(day + timedelta(days=1 if is_end else 0), time())
        if moment is None:
            raise ValueError(text)
        return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
    except (ValueError, OverflowError) as error:
        raise BadFilter(
            _("%(text)s is no moment; write 2026-11-30 or 2026-11-30 14:00.") % {"text": f"{text!r}"}
        ) from error
