"""The lines of the list of destinations: those with trouble first, searched, sorted and a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _lazy

from base.texts import Text
from mailspool.destinations import words
from mailspool.destinations.counted import Counted, Snapshot
from spool.console import listing
from spool.console.listing import Column, Heading
from spool.delivery.shaping.destinations import Site, What, ruled
from spool.delivery.shaping.limits import Key
from spool.filters import Count

PAGE: Final = 50
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
# So many recipients of the last minutes, and more than half of them refused or deferred.
_REFUSING_AT_LEAST: Final = 5


@dataclass(frozen=True, slots=True)
class State:
    """How a destination is doing: `rank` is 0 for the worst."""

    rank: int
    words: Text
    tone: str


SUSPENDED = State(0, _lazy("Suspended"), "bad")
HELD = State(1, _lazy("Suspended by hand"), "held")
SLOWED = State(2, _lazy("Slowed"), "waiting")
# In a dry run.
WOULD_SUSPEND = State(3, _lazy("Would be suspended"), "quiet")
WOULD_SLOW = State(4, _lazy("Would be slowed"), "quiet")
REFUSING = State(5, _lazy("Refuses most"), "bad")
BY_HAND = State(6, _lazy("Limited by hand"), "held")
FREE = State(7, _lazy("No limit"), "good")
UNKNOWN = State(7, _lazy("Host not known yet"), "quiet")


@dataclass(frozen=True, slots=True)
class Line:
    """One destination. `key` names it for pages and actions; it is empty where only a domain is known."""

    key: str
    name: str
    more_hosts: int
    source: str
    state: State
    limits: tuple[str, ...]
    until: datetime | None
    counted: Counted
    site: Site | None = None

    @property
    def query(self) -> str:
        return urlencode({"key": self.key})

    @property
    def refuses_us(self) -> bool:
        """Whether it is suspended for what it answered."""
        return self.state is SUSPENDED

    @property
    def waiting(self) -> Count:
        return Count(self.counted.waiting, self.counted.more)

    @property
    def domains(self) -> list[str]:
        """Some of the names that it goes by, but its own."""
        return [domain for domain in self.counted.domains if domain != self.name][:3]

    @property
    def other_domains(self) -> int:
        return max(0, len([domain for domain in self.counted.domains if domain != self.name]) - 3)

    @property
    def waiting_query(self) -> str:
        """The list of what waits for it, where that is one domain's mail."""
        return urlencode({"domain": self.counted.domains[0]}) if len(self.counted.domains) == 1 else ""

    def has(self, text: str) -> bool:
        return any(text in one.lower() for one in (self.key, self.name, *self.counted.domains))


# By the name in the address: the heading, whether the largest comes first, and what is compared.
_Compared = Callable[[Line], Any]
SORTS: Final[Mapping[str, tuple[Text, str, bool, _Compared]]] = {
    "name": (_lazy("Destination"), "", False, lambda line: line.name.lower()),
    "state": (_lazy("State"), "", False, lambda line: line.state.rank),
    "waiting": (_lazy("Waiting"), "right", True, lambda line: line.counted.waiting),
    "oldest": (_lazy("Oldest"), "right", False, lambda line: line.counted.oldest or _NEVER),
    "speed": (_lazy("Per minute"), "right", True, lambda line: line.counted.per_minute),
    "refused": (_lazy("Refused"), "right", True, lambda line: line.counted.refused),
}
DEFAULT_SORT: Final = "state"
# By the name in the address: what it is called, and which lines it has.
FILTERS: Final[Mapping[str, tuple[Text, Callable[[Line], bool]]]] = {
    "": (_lazy("All"), lambda line: True),
    "trouble": (_lazy("In trouble"), lambda line: line.state.rank <= REFUSING.rank),
    "suspended": (_lazy("Suspended"), lambda line: line.state in (SUSPENDED, HELD)),
    "slowed": (_lazy("Slowed"), lambda line: line.state is SLOWED),
    "by-hand": (_lazy("By hand"), lambda line: line.site is not None and line.site.is_by_hand),
    "dry-run": (_lazy("Dry run"), lambda line: line.state in (WOULD_SUSPEND, WOULD_SLOW)),
    "waiting": (_lazy("With waiting mail"), lambda line: line.counted.waiting > 0),
}


def lines_of(sites: Iterable[Site], counted: Snapshot, others: Iterable[Key] = ()) -> list[Line]:
    """All that something is known of; `others` are there although nothing is."""
    limited = {Key(site.name, site.source): site for site in sites}
    keys = dict.fromkeys([*limited, *counted.sites, *others])
    found = [line_of(key, limited.get(key) or ruled(key), counted.sites.get(key) or Counted()) for key in keys]
    for domain, place in counted.unknown.items():
        found.append(Line("", domain, 0, "", UNKNOWN, (), None, place))
    return found


def line_of(key: Key, site: Site | None, counted: Counted) -> Line:
    name, more = words.named(key.site)
    state = _state(site, counted)
    limits = site.limits if site is not None else ()
    told = [one for one in limits if (one.holds or state is WOULD_SLOW) and one.what is not What.MESSAGES]
    # That nothing is sent is what its state says, and no rate matters meanwhile.
    is_suspension = state in (SUSPENDED, HELD, WOULD_SUSPEND)
    amounts = () if is_suspension else tuple(map(words.amount, told))
    until = site.suspended_until if site is not None and is_suspension else None
    return Line(str(key), name, more, key.source, state, amounts, until, counted, site)


def _state(site: Site | None, counted: Counted) -> State:
    for one in site.limits if site is not None else ():
        if one.what is What.MESSAGES:
            # It costs nobody anything.
            continue
        # Suspensions stand before the others.
        if one.what is What.SUSPENSION and one.holds:
            return HELD if one.is_by_hand else SUSPENDED
        if not one.is_by_hand and site is not None and not site.is_active:
            return WOULD_SUSPEND if one.what is What.SUSPENSION else WOULD_SLOW
        if one.holds and not one.is_by_hand:
            return SLOWED
    if counted.answered >= _REFUSING_AT_LEAST and counted.refused * 2 > counted.answered:
        return REFUSING
    return BY_HAND if site is not None and site.is_by_hand else FREE


def sorted_by(lines: Sequence[Line], sort: str) -> list[Line]:
    """In an order of SORTS, or turned by `-`; those that are equal by trouble, then by what waits."""
    _, _, largest, compared = SORTS[sort.lstrip("-")]
    usual = sorted(
        lines, key=lambda line: (line.state.rank, -line.counted.waiting, -line.counted.per_minute, line.name)
    )
    return sorted(usual, key=compared, reverse=largest is not sort.startswith("-"))


def headings_of(sort: str, kept: Mapping[str, str]) -> list[Heading]:
    """The headings of the list, each with the address that sorts by it."""
    columns = [Column(title, css, name, largest, name) for name, (title, css, largest, _) in SORTS.items()]
    return listing.headings_of(columns, kept, sort, listing.why_never)
