"""The rows of all tables, with what is known of each key: a fixed number of queries, whatever is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import directory
from accounts.addresses import key_of
from accounts.models import Status, User
from base.numbers import grouped
from mailspool.overview.charts import sparkline
from mailspool.overview.sorting import Header, Sorting
from mailspool.overview.tables import SUBMITTERS, TABLES, WINDOWS, Table, Window
from security.actions import blacklisted, smtp_blocked
from security.models import Direction
from spool.models.traffic import TrafficKind
from spool.traffic.figures import TopRow

ADDRESSES = ("account", "recipient", "sender")


@dataclass(frozen=True, slots=True)
class Mark:
    """A word beside a key."""

    words: str
    tone: str
    title: str
    # Drawn instead of the words, for what is no reason to worry.
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number and the window that it counts."""

    number: int
    window: Window
    # The deliveries that it counts.
    link: str = ""

    @property
    def words(self) -> str:
        return f"{self.number:,}"


@dataclass(frozen=True, slots=True)
class Row:
    """One key as its table shows it."""

    key: str
    cells: list[Cell]
    spark: str
    spark_words: str
    marks: list[Mark]
    rises: bool
    spool_link: str
    menu_link: str


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table with its rows, and its columns of numbers."""

    table: Table
    rows: list[Row]
    headers: list[Header]


@dataclass(slots=True)
class Known:
    """What the other rooms know of the keys on the page."""

    statuses: dict[str, str] = field(default_factory=dict)
    local_domains: set[str] = field(default_factory=set)
    blacklisted: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    blocked_outbound: set[str] = field(default_factory=set)


def shown_tables(found: Mapping[TrafficKind, list[TopRow]], known: Known, sorting: Sorting) -> list[ShownTable]:
    """The specification's."""
    return [
        ShownTable(table, [_row(table, top, known) for top in found[table.kind]], sorting.headers(table.name))
        for table in TABLES
    ]


def knowledge(found: Mapping[TrafficKind, list[TopRow]]) -> Known:
    """Look all keys up at once."""
    keys: dict[str, set[str]] = {"account": set(), "recipient": set(), "sender": set(), "ip": set(), "domain": set()}
    for table in (*TABLES, *SUBMITTERS):
        keys[table.subject] |= {row.key for row in found[table.kind] if row.key}
    return look_up(keys)


def look_up(keys: Mapping[str, set[str]]) -> Known:
    """The same of some keys by what they are."""
    addresses = {key_of(key) for subject in ADDRESSES for key in keys.get(subject, ())}
    known = Known()
    if addresses:
        known.statuses = dict(User.objects.filter(email__in=addresses).values_list("email", "status"))
    domains = {key.lower() for key in keys.get("domain", ())} | {a.rpartition("@")[2] for a in addresses if "@" in a}
    if domains:
        known.local_domains = {name for name, is_local in directory.local_domains(domains).items() if is_local}
    known.blacklisted = blacklisted(keys.get("ip", ()))
    senders = [*keys.get("sender", ()), *keys.get("domain", ())]
    known.blocked = smtp_blocked(senders, Direction.INBOUND)
    known.blocked_outbound = smtp_blocked(senders, Direction.OUTBOUND)
    return known


def _row(table: Table, top: TopRow, known: Known) -> Row:
    query = urlencode({"key": top.key})
    return Row(
        top.key,
        cells_of(top, table.name, query),
        sparkline(top.hours),
        (
            _("Last %(number)s hours, most %(hours)s in one")
            % {"number": len(top.hours), "hours": grouped(max(top.hours))}
        ),
        marks(table, top.key, known),
        top.rises,
        spool_link(table, top.key),
        menu_link(table, top.key),
    )


def spool_link(table: Table, key: str) -> str:
    """The list of what is in the spool of a key."""
    return f"{_spool()}?{table.spool_query(key)}"


def menu_link(table: Table, key: str) -> str:
    """What the menu of a row is fetched from."""
    return f"{_menu(table.name)}?{urlencode({'key': key})}"


def cells_of(top: TopRow, table: str, query: str = "") -> list[Cell]:
    """Its windows, in the order of the columns."""
    end = f"?{query}" if query else ""
    return [Cell(getattr(top, window.attribute), window, f"{_behind(table, window.name)}{end}") for window in WINDOWS]


# A page has hundreds of links that differ in their query alone.
@cache
def _behind(table: str, window: str) -> str:
    return reverse("overview_behind", args=[table, window])


@cache
def _menu(table: str) -> str:
    return reverse("overview_menu", args=[table])


@cache
def _spool() -> str:
    return reverse("admin:spool_entry_changelist")


def marks(table: Table, key: str, known: Known) -> list[Mark]:
    """What is to be said of a key."""
    found = []
    status = known.statuses.get(key_of(key)) if table.subject in ADDRESSES else None
    if status is not None and status != Status.ENABLED:
        label = str(Status(status).label)
        found.append(Mark(label, "held", _("The account may not log in or send.")))
    if table.subject == "account" and key and status is None:
        found.append(
            Mark(
                _("Not an account"), "quiet", _("There is no account with this address on this server."), "no_accounts"
            )
        )
    if key in known.blacklisted and table.subject == "ip":
        found.append(Mark(_("Blacklisted"), "bad", _("This address may not hand in mail.")))
    if key in known.blocked and table.subject in ("sender", "domain"):
        found.append(Mark(_("Blocked"), "bad", _("Mail from it that comes from outside is refused.")))
    if key in known.blocked_outbound and table.subject in ("sender", "domain"):
        found.append(Mark(_("Blocked outbound"), "bad", _("Nobody here may send with it.")))
    if table.subject == "domain" and key.lower() in known.local_domains:
        found.append(Mark(_("Ours"), "quiet", _("A domain of this server."), "home"))
    return found
