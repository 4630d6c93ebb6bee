"""Sites and their limits for pages and commands: what is in force, why, and what administrators say of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.db.models import F
from django.utils import timezone

from spool.delivery.replies import error_group
from spool.delivery.shaping import domains, limits, pace, rules
from spool.delivery.shaping.brakes import reasons
from spool.delivery.shaping.limits import Key
from spool.delivery.shaping.rules import NO_CHOICE, NOTHING, Chosen, Rule
from spool.models.destination import Destination
from spool.models.settings import current
from spool.rows import rest

# So much of what waits for a site is due at once when it is resumed; the rest follows at the site's pace.
_WAKE: Final = 10_000
# Without a limit: as what waits for a host that is back (spool.flow.passes).
_UNLIMITED: Final = 250 * 60.0
_PART_SECONDS: Final = 30.0
_LONGEST: Final = timedelta(hours=1)
_AT_ONCE: Final = 5_000


class What(StrEnum):
    """What is limited."""

    RATE = "rate"
    CONNECTIONS = "connections"
    SUSPENSION = "suspension"
    # Over one connection.
    MESSAGES = "messages"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a site. `value` is messages a minute or a connection, connections, or the end of a suspension.

    Of several of a kind the lower one `holds`; none that was learned does while *slow down for destinations* is off.
    What was learned ends at `until` by itself, unless something is refused again. `rule` is whose mail the rule is for
    that says so, where one does.
    """

    what: What
    value: float | datetime
    is_by_hand: bool
    holds: bool
    since: datetime | None
    until: datetime | None
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A site from one of our addresses (empty: the one that the system chooses). Rates are in messages a minute.

    `rate` and `connections` are what holds, over all workers: the lower of what was learned and what was said `by` an
    administrator. `evidence` are the last refusals, newest last: at, code, text, about, domain, host.
    """

    name: str
    source: str
    rate: float | None
    connections: int | None
    suspended_until: datetime | None
    is_by_hand: bool
    is_suspended_by_hand: bool
    learned_rate: float | None
    learned_connections: int | None
    reason: str
    evidence: tuple[Mapping[str, Any], ...]
    since: datetime
    changed: datetime
    by: str
    note: str
    limits: tuple[Limit, ...]
    # Whether what was learned is in force.
    is_active: bool

    @property
    def is_in_force(self) -> bool:
        """Whether anything of it holds now, and not only would."""
        return any(limit.holds for limit in self.limits)

    @property
    def is_suspended(self) -> bool:
        """Whether nothing is sent there, and not only would be."""
        return any(limit.what is What.SUSPENSION and limit.holds for limit in self.limits)

    @property
    def messages(self) -> int | None:
        """Over one connection, as was learned."""
        values = (limit.value for limit in self.limits if limit.what is What.MESSAGES)
        return next((value for value in values if isinstance(value, int)), None)

    @property
    def key(self) -> str:
        return f"{self.name} from {self.source}" if self.source else self.name


def sites() -> Iterator[Site]:
    """All with a limit or a suspension in force, by name: one query."""
    now, is_active, book = timezone.now(), current().adapt_pace, rules.cached()
    for row in Destination.objects.order_by("site", "source"):
        if (found := site_of(row, now, is_active=is_active, chosen=book.of_site(row.site))) is not None:
            yield found


def some_sites(most: int, text: str = "") -> tuple[list[Site], bool]:
    """The same for a list that has to be there at once: without evidence, those with `text` in their name.

    At most `most`, the suspended ones first and then what was changed last; and whether there are more. One query.
    """
    rows = Destination.objects.order_by(F("suspended_until").desc(nulls_last=True), "-changed", "pk")
    found = rows.filter(site__icontains=text) if text else rows
    some = list(found.defer("evidence")[: most + 1])
    return _in_force(some[:most]), len(some) > most


def sites_for(keys: Collection[Key]) -> list[Site]:
    """Those of `keys` with a limit or a suspension in force, without evidence: a query for each _AT_ONCE."""
    names, found = sorted({key.site for key in keys}), []
    for start in range(0, len(names), _AT_ONCE):
        rows = Destination.objects.filter(site__in=names[start : start + _AT_ONCE]).defer("evidence")
        found += [row for row in rows if Key(row.site, row.source) in keys]
    return _in_force(found)


def _in_force(rows: Iterable[Destination]) -> list[Site]:
    now, is_active, book = timezone.now(), current().adapt_pace, rules.cached()
    found = (site_of(row, now, is_active=is_active, chosen=book.of_site(row.site), evident=False) for row in rows)
    return [site for site in found if site is not None]


def ruled(key: Key) -> Site | None:
    """One of which nothing was learned, as rules limit it, if they do."""
    chosen = rules.cached().of_site(key.site)
    if not any(rule.limits_something for rule in chosen.rules):
        return None
    now = timezone.now()
    row = Destination(site=key.site, source=key.source, since=now, changed=now)
    return site_of(row, now, is_active=current().adapt_pace, chosen=chosen)


def key_named(text: str) -> Key:
    """What is meant by `Google`, or by `Google from 192.0.2.1`."""
    site, found, source = text.strip().rpartition(" from ")
    try:
        return limits.key_of(site, str(ipaddress.ip_address(source))) if found else limits.key_of(text.strip(), "")
    except ValueError:
        return limits.key_of(text.strip(), "")


def row_of(key: Key) -> Destination | None:
    return Destination.objects.filter(site=key.site, source=key.source).first()


def slow(key: Key, rate: float | None, connections: int | None, by: str, note: str = "") -> Destination:
    """Send no faster, and over no more connections; None leaves that as it is, and 0 is no limit.

    In the caller's transaction, as all of these.
    """
    row = limits.row_for_change(key)
    if rate is not None:
        row.rate_by_hand = rate or None
    if connections is not None:
        row.connections_by_hand = connections or None
    return _saved(row, by, note)


def suspend(key: Key, span: timedelta, by: str, note: str = "") -> Destination:
    """Send nothing for so long."""
    row = limits.row_for_change(key)
    row.suspended_until = timezone.now() + span
    row.memory = {**row.memory, "by_hand": True}
    return _saved(row, by, note)


def resume(key: Key, by: str) -> Destination | None:
    """End a suspension, whoever began it. What waits is tried, at the pace there is; None when there was none."""
    row = limits.row_for_change(key)
    if row.suspended_until is None:
        return None
    row.suspended_until = None
    row.memory = {name: value for name, value in row.memory.items() if name not in ("by_hand", "suspensions")}
    saved = _saved(row, by, row.note)
    _wake(key)
    return saved


def forget(key: Key) -> bool:
    """Have nothing in force for a site, as if it had never refused anything; whether there was something."""
    removed, _ = Destination.objects.filter(site=key.site, source=key.source).delete()
    limits.forget_cache()
    if removed:
        _wake(key)
    return bool(removed)


def pace_of(key: Key) -> float:
    """Messages a minute that what waits for a site is tried at when somebody has it tried again."""
    row = row_of(key)
    found = limits.limits_of(row, timezone.now()) if row is not None else limits.Limits()
    return min(found.rate(is_active=current().adapt_pace) or _UNLIMITED, _UNLIMITED)


def waiting_at(key: Key, most: int) -> list[int] | None:
    """The ids of what waits for a site until later, the oldest first; None: it is more than that, or can't be said
    without going through the whole spool.
    """
    names = domains.domains_of(key, domains.MOST_DOMAINS + 1)
    if len(names) > domains.MOST_DOMAINS:
        return None
    ids = rest.waiting_for(names, timezone.now(), most + 1)
    return ids if len(ids) <= most else None


class Turns:
    """What waits for a site is tried again, the oldest first, at its pace from `began` on; `before`: so many had their
    turns.

    What would follow more than an hour later is due then, and has its turns by the site's limits.
    """

    def __init__(self, key: Key, began: datetime, before: int = 0) -> None:
        self._began, self._before = began, before
        self._seconds = 60 / pace_of(key)

    @property
    def span(self) -> timedelta:
        """Until when the last one was given."""
        return min(timedelta(seconds=self._before * self._seconds), _LONGEST)

    def give(self, ids: Sequence[int]) -> int:
        """Have them tried, unless they are tried sooner; how many. In the caller's transaction."""
        before, part = self._before, max(1, round(_PART_SECONDS / self._seconds))
        while ids:
            if self.span >= _LONGEST:
                part = len(ids)
            some, ids = ids[:part], ids[part:]
            self._before += rest.try_from(some, self._began + self.span)
        return self._before - before


def _wake(key: Key) -> None:
    # The group of a reason may be that of another site's.
    names = domains.domains_of(key)
    known = names if len(names) < domains.MOST_DOMAINS else []
    rest.wake(known, sorted({error_group(reason) for reason in reasons(key.site)}), timezone.now(), _WAKE)


def _saved(row: Destination, by: str, note: str) -> Destination:
    row.by, row.note, row.changed = by[:254], note[:200], timezone.now()
    row.save()
    limits.forget_cache()
    return row


def site_of(
    row: Destination, now: datetime, *, is_active: bool = True, chosen: Chosen = NO_CHOICE, evident: bool = True
) -> Site | None:
    """What is in force of one row, and by rules, if anything is; not `is_active`: what was learned is not in force, and
    told all the same. Not `evident`: without the refusals, which are most of a row.
    """
    found, ruled = limits.limits_of(row, now), chosen.ruled
    rates = [rate for rate in (found.rate(), ruled.rate) if rate is not None]
    connections = [number for number in (found.connections(), ruled.connections) if number is not None]
    suspensions = [until for until in (found.suspended_until(now), ruled.suspended(now)) if until is not None]
    if not (rates or connections or suspensions or found.messages()):
        return None
    return Site(
        row.site,
        row.source,
        min(rates, default=None),
        min(connections, default=None),
        max(suspensions, default=None),
        found.suspended_by_hand
        or found.rate_by_hand is not None
        or found.connections_by_hand is not None
        or ruled is not NOTHING,
        found.suspended_by_hand or ruled.suspended(now) is not None,
        found.learned.rate,
        found.learned.connections,
        row.reason,
        tuple(row.evidence) if evident else (),
        row.since,
        row.changed,
        row.by,
        row.note,
        tuple(_limits(row, found, now, chosen, is_active=is_active)),
        is_active,
    )


def _limits(
    row: Destination, found: limits.Limits, now: datetime, chosen: Chosen, *, is_active: bool
) -> Iterator[Limit]:
    learned = found.learned
    ends = learned.refused + timedelta(seconds=pace.TIMING.lapse) if learned.refused is not None else None
    if (suspended := chosen.first(lambda rule: rule.suspended_until)) is not None and suspended[0] > now:
        yield Limit(What.SUSPENSION, suspended[0], True, True, None, suspended[0], suspended[1])
    until = found.suspended_until(now)
    if until is not None:
        by_hand = found.suspended_by_hand
        since = row.changed if by_hand else learned.refused
        yield Limit(What.SUSPENSION, until, by_hand, is_active or by_hand, since, until)
    for what, own, said, by_rule, since in (
        (
            What.RATE,
            learned.rate,
            found.rate_by_hand,
            chosen.first(lambda rule: rule.rate),
            learned.rate_changed,
        ),
        (
            What.CONNECTIONS,
            learned.connections,
            found.connections_by_hand,
            chosen.first(lambda rule: rule.connections),
            learned.connections_changed,
        ),
    ):
        in_force = (own if is_active else None, said, by_rule[0] if by_rule is not None else None)
        lowest = min((value for value in in_force if value is not None), default=0)
        if own is not None:
            yield Limit(what, own, False, is_active and own <= lowest, since, ends)
        if said is not None:
            yield Limit(what, said, True, said <= lowest, row.changed, None)
        if by_rule is not None:
            yield Limit(what, by_rule[0], True, by_rule[0] <= lowest, None, None, by_rule[1])
    if learned.messages is not None:
        # What a rule says of it is among the choices.
        yield Limit(What.MESSAGES, learned.messages, False, is_active, None, ends)
