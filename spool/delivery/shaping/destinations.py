"""Sites and their limits for pages and commands: what is in force, why, and what administrators say of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from spool.delivery.replies import error_group
from spool.delivery.shaping import limits
from spool.delivery.shaping.brakes import reasons
from spool.delivery.shaping.limits import Key
from spool.models.destination import Destination
from spool.rows import rest

# So much of what waits for a site is due at once when it is resumed; the rest follows at the site's pace.
_WAKE: Final = 10_000


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

    @property
    def key(self) -> str:
        return f"{self.name} from {self.source}" if self.source else self.name


def sites() -> Iterator[Site]:
    """All with a limit or a suspension in force, by name: one query."""
    now = timezone.now()
    for row in Destination.objects.order_by("site", "source"):
        if (found := site_of(row, now)) is not None:
            yield found


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
    """Send no faster, and over no more connections; None is no limit. In the caller's transaction, as all of these."""
    row = limits.row_for_change(key)
    row.rate_by_hand, row.connections_by_hand = rate, connections
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


def _wake(key: Key) -> None:
    rest.wake([], sorted({error_group(reason) for reason in reasons(key.site)}), timezone.now(), _WAKE)


def _saved(row: Destination, by: str, note: str) -> Destination:
    row.by, row.note, row.changed = by[:254], note[:200], timezone.now()
    row.save()
    limits.forget_cache()
    return row


def site_of(row: Destination, now: datetime) -> Site | None:
    """What is in force of one row, if anything is."""
    found = limits.limits_of(row, now)
    rate, connections, suspended = found.rate(), found.connections(), found.suspended_until(now)
    if rate is None and connections is None and suspended is None:
        return None
    return Site(
        row.site,
        row.source,
        rate,
        connections,
        suspended,
        found.suspended_by_hand or found.rate_by_hand is not None or found.connections_by_hand is not None,
        found.suspended_by_hand,
        found.learned.rate,
        found.learned.connections,
        row.reason,
        tuple(row.evidence),
        row.since,
        row.changed,
        row.by,
        row.note,
    )
