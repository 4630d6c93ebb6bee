"""Deciding about a batch of entries: which go on now, and which wait, for whose limit and until when."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from redis.exceptions import RedisError

from accounts.models import Metric, ThrottleAction
from spool.message.envelope import LeasedEntry
from spool.models.entry import Origin, Status
from throttling import bounces, notices
from throttling.counting import ledger, windows
from throttling.counting.allowance import Leeway
from throttling.counting.ledger import Held, Queue
from throttling.counting.state import Rooms, State, Window
from throttling.counting.windows import Counted
from throttling.holding import placement
from throttling.holding.ahead import ahead
from throttling.holding.placement import Refused
from throttling.subjects import Charge, IPLimits, Limited, Subject, braked, charges_of, of_entries
from throttling.wording import Reached

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Decisions:
    """What becomes of a batch. `reached` has the limits that are close or reached, with how much of them is used;
    `rooms` how much more those take for which nothing waits."""

    going: list[tuple[LeasedEntry, list[Limited]]] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    reached: dict[tuple[Subject, Metric], Reached] = field(default_factory=dict)
    rooms: Rooms = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Judged:
    """An entry, whom it counts for, and what it costs them."""

    entry: LeasedEntry
    limited: list[Limited]
    counted: tuple[Charge, ...]
    by_bounces: tuple[Charge, ...]

    @property
    def charges(self) -> tuple[Charge, ...]:
        return self.counted + self.by_bounces


def let_through(entries: Iterable[tuple[LeasedEntry, list[Limited]]], leeway: Leeway) -> bool:
    """Whether entries may all go without a question, for every limit of theirs is far; then they are owed."""
    question: list[Charge] = []
    for entry, limited in entries:
        counted, by_bounces = _charges(entry, limited)
        if by_bounces or entry.status == Status.THROTTLED:
            return False
        question += counted
    return leeway.lets(question)


def decide(
    entries: Sequence[LeasedEntry], ip_limits: IPLimits, now: datetime, owed: tuple[Charge, ...] = (), owner: str = ""
) -> Decisions:
    """Charge `entries`, which `owner` has leased, to the windows of those that they count for, after what is `owed`.

    Those that wait are written down at once, for others will be behind them. Raises django.db.Error.
    While Redis is away nothing is held: what goes on is in the ledger, and is counted when Redis is back.
    """
    decisions = Decisions()
    judged = _judged(decisions, entries, ip_limits)
    if not judged and not owed:
        return decisions
    known, anything_waits = ledger.passed_and_held([one.entry.file_name for one in judged])
    judged = [one for one in judged if one.entry.file_name not in known]
    waiting: Mapping[tuple[Subject, Metric], Queue] = {}
    if anything_waits:
        limits = {(charge.subject, charge.limit.metric) for one in judged for charge in one.charges}
        waiting = ledger.queues(limits, [one.entry.id for one in judged])
    older = ahead(
        [one.entry for one in judged if any(charge.enforced for charge in one.counted)], ip_limits, now, owner
    )
    asked: list[_Judged] = []
    refused: list[Refused] = []
    requests, kept = [owed], [list[int]()]
    for one in judged:
        behind = next((c for c in one.charges if c.enforced and _is_behind(one.entry, c, waiting)), None)
        refusal = behind or bounces.refusal(one.by_bounces, decisions.reached, now)
        if refusal is not None:
            refused.append(Refused(one.entry, refusal))
        else:
            asked.append(one)
            requests.append(one.counted)
            kept.append([older.of(Window(c.subject, c.limit.metric), one.entry.id) for c in one.counted])
    try:
        counted = windows.count(requests, kept)
    except RedisError as error:
        log.warning("Redis is away, nothing is throttled: %s", error)
        windows.mistrust()
        decisions.going += [(one.entry, one.limited) for one in asked]
        _write(decisions, refused, {}, now)
        return decisions
    _note_use(decisions, counted)
    # Nobody may overtake what waits.
    decisions.rooms = {window: room for window, room in counted.rooms.items() if window not in waiting}
    for one, refusal in zip(asked, counted.refusals[1:], strict=True):
        if refusal is None:
            decisions.going.append((one.entry, one.limited))
        else:
            first = older.of(Window(refusal.subject, refusal.limit.metric), one.entry.id)
            refused.append(Refused(one.entry, refusal, first))
    _write(decisions, refused, counted.states, now)
    return decisions


def _judged(decisions: Decisions, entries: Sequence[LeasedEntry], ip_limits: IPLimits) -> list[_Judged]:
    """The oldest first; those whom every limit has let in at the port go without a question."""
    found = []
    batch = sorted(entries, key=lambda entry: entry.id)
    for entry, limited in zip(batch, of_entries(batch, ip_limits), strict=True):
        if not limited:
            continue
        counted, by_bounces = _charges(entry, limited)
        if counted or by_bounces:
            found.append(_Judged(entry, limited, counted, by_bounces))
        else:
            decisions.going.append((entry, limited))
    return found


def _charges(entry: LeasedEntry, limited: list[Limited]) -> tuple[tuple[Charge, ...], tuple[Charge, ...]]:
    """What an entry costs whom in windows, and whose bounces it is judged by."""
    of_bounces = bounces.charges(limited, rejecting=False, has_session=entry.origin == Origin.SMTP)
    return charges_of(entry, limited), tuple(charge for charge in of_bounces if braked(entry, charge.subject))


def _is_behind(entry: LeasedEntry, charge: Charge, waiting: Mapping[tuple[Subject, Metric], Queue]) -> bool:
    """Whether an older entry, that is not in this batch, waits for the same."""
    queue = waiting.get((charge.subject, charge.limit.metric))
    return queue is not None and queue.first < entry.id


def _states(refused: Sequence[Refused], known: Mapping[Window, State]) -> Mapping[Window, State]:
    """How the windows stand that have refused something, without waiting for Redis in anybody's turn."""
    windows_of = {Window(one.charge.subject, one.charge.limit.metric) for one in refused}
    missing = [window for window in windows_of - known.keys() if window.metric is not Metric.BOUNCES]
    try:
        return {**known, **windows.look(missing)} if missing else known
    except RedisError:
        return known


def _write(decisions: Decisions, refused: Sequence[Refused], states: Mapping[Window, State], now: datetime) -> None:
    """Give places to those that wait, and let go of those that did."""
    waited = [entry.id for entry, _ in decisions.going if entry.status == Status.THROTTLED]
    if not refused and not waited:
        return
    states = _states(refused, states)
    with placement.turn():
        decisions.held, reached = placement.place(refused, states, now)
        ledger.write_waiting(waited, decisions.held, now)
    decisions.reached.update({(window.subject, window.metric): one for window, one in reached.items()})


def _note_use(decisions: Decisions, counted: Counted) -> None:
    for window, charge in counted.charges.items():
        used, limit = counted.states[window].used, charge.limit
        if notices.is_close(used, limit.amount):
            over = limit.action is ThrottleAction.NONE and used > limit.amount
            decisions.reached[window] = Reached(charge.subject, limit, used, None, over=over)
