"""Who hands in now: users, senders without a login and client IPs by what was accepted from them, delivered or not.

A flood that nobody takes is in no table of deliveries: it is seen here, by what came in, by what of it was deferred
or bounced, and by what is in the spool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from mailspool.overview.charts import Chart, submissions
from mailspool.overview.rows import Known, Mark, marks, menu_link, spool_link
from mailspool.overview.sorting import SUBMITTER_WINDOWS, SUBMITTERS_NAME, Header, Sorting
from mailspool.overview.tables import SUBMITTERS, Table, Window
from spool.models.traffic import WHOLE, TrafficKind
from spool.rows import present
from spool.traffic.figures import TopRow, by_minute, windows_of

SHOWN = 6
# Of them the chart shows so many by name.
DRAWN = 4
_USERS, _SENDERS, _IPS = SUBMITTERS
_KINDS = {"account": "user", "sender": "sender", "ip": "ip"}
_DEFERRED = {
    TrafficKind.HANDED_IN_USER: TrafficKind.DEFERRED_USER,
    TrafficKind.HANDED_IN_SENDER: TrafficKind.DEFERRED_SENDER,
    TrafficKind.HANDED_IN_IP: TrafficKind.DEFERRED_IP,
}
_BOUNCED = {
    TrafficKind.HANDED_IN_USER: TrafficKind.BOUNCED_USER,
    TrafficKind.HANDED_IN_SENDER: TrafficKind.BOUNCED_SENDER,
    TrafficKind.HANDED_IN_IP: TrafficKind.BOUNCED_IP,
}


@dataclass(frozen=True, slots=True)
class Part:
    """How much of what was handed in came to no good; `is_much` from a fifth of it on."""

    number: int
    is_much: bool

    @property
    def words(self) -> str:
        return f"{self.number:,}"


@dataclass(frozen=True, slots=True)
class Submitter:
    """One of them. `deferred` and `bounced` are within the window by which the table is sorted."""

    table: Table
    key: str
    numbers: list[str]
    in_spool: str
    deferred: Part
    bounced: Part
    marks: list[Mark]
    rises: bool
    spool_link: str
    menu_link: str
    # All that is known of it; of the null sender, what it has in the spool.
    link: str


@dataclass(frozen=True, slots=True)
class Submitters:
    """A table of them."""

    name: str
    title: str
    column: str
    rows: list[Submitter]
    headers: list[Header]


@dataclass(frozen=True, slots=True)
class HandedIn:
    """Both tables, the window by which they are sorted, and the last hour drawn."""

    window: Window
    tables: list[Submitters]
    chart: Chart


def handed_in(found: Mapping[TrafficKind, list[TopRow]], known: Known, sorting: Sorting, now: datetime) -> HandedIn:
    """What the section shows: three queries."""
    window = sorting.window(SUBMITTERS_NAME)
    people = _first([(table, top) for table in (_USERS, _SENDERS) for top in found[table.kind]], window)
    addresses = _first([(_IPS, top) for top in found[_IPS.kind]], window)
    shown = [*people, *addresses]
    lost = windows_of(
        {
            kinds[table.kind]: [top.key for one, top in shown if one is table]
            for kinds in (_DEFERRED, _BOUNCED)
            for table in SUBMITTERS
        },
        now,
    )
    there = dict(
        zip(
            (table.kind for table in SUBMITTERS),
            present.numbers(*([top.key for one, top in shown if one is table] for table in SUBMITTERS)),
            strict=True,
        )
    )

    def submitter(table: Table, top: TopRow) -> Submitter:
        number = there[table.kind].get(top.key, 0)
        deferred, bounced = (
            getattr(lost[kinds[table.kind], top.key], window.attribute) for kinds in (_DEFERRED, _BOUNCED)
        )
        accepted = getattr(top, window.attribute)
        return Submitter(
            table,
            top.key,
            [f"{getattr(top, one.attribute):,}" for one in SUBMITTER_WINDOWS],
            f"{number:,}+" if number >= present.MOST else f"{number:,}" if number else "",
            _part(deferred, accepted),
            _part(bounced, accepted),
            marks(table, top.key, known),
            top.rises,
            spool_link(table, top.key),
            menu_link(table, top.key),
            reverse("incident", args=[_KINDS[table.subject], top.key]) if top.key else spool_link(table, top.key),
        )

    headers = sorting.headers(SUBMITTERS_NAME, SUBMITTER_WINDOWS)
    return HandedIn(
        window,
        [
            Submitters(
                "people", _("Users and senders"), _("User or sender"), [submitter(*one) for one in people], headers
            ),
            Submitters(
                "addresses", _("IP addresses"), _("IP address"), [submitter(*one) for one in addresses], headers
            ),
        ],
        submissions(_lately(people[:DRAWN], now), now),
    )


def _first(rows: Sequence[tuple[Table, TopRow]], window: Window) -> list[tuple[Table, TopRow]]:
    return sorted(rows, key=lambda row: (-getattr(row[1], window.attribute), -row[1].day, row[1].key))[:SHOWN]


def _part(number: int, accepted: int) -> Part:
    return Part(number, number >= 5 and number * 5 >= accepted)


def _lately(people: Sequence[tuple[Table, TopRow]], now: datetime) -> dict[str, list[int]]:
    """Minute by minute, of each of them and of all others together."""
    whole = (TrafficKind.RECEIVED_INBOUND, TrafficKind.RECEIVED_OUTBOUND)
    wanted = {table.kind: [top.key for one, top in people if one is table] for table in (_USERS, _SENDERS)}
    counts = by_minute(wanted | {kind: [WHOLE] for kind in whole}, now)
    drawn = {top.key or "<>": counts[table.kind, top.key] for table, top in people}
    received = [sum(parts) for parts in zip(*(counts[kind, WHOLE] for kind in whole), strict=True)]
    named = [sum(parts) for parts in zip(*drawn.values(), strict=True)] if drawn else [0] * len(received)
    return drawn | {_("All others"): [max(0, all_ - some) for all_, some in zip(received, named, strict=True)]}
