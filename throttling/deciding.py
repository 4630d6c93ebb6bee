"""Deciding about a batch of entries: which go on now, and which wait, for whose limit and until when."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from redis.exceptions import RedisError

from accounts.models import Metric, ThrottleAction
from spool.envelope import LeasedEntry
from spool.models.entry import Origin, Status
from throttling import bounces, ledger, notices, windows
from throttling.ledger import Held, Queue
from throttling.leeway import Leeway
from throttling.replay import seconds_until
from throttling.subjects import Charge, IPLimits, Limited, Subject, braked, charges_of, of_entries
from throttling.windows import Counted, Rooms, State, Window
from throttling.wording import Reached, reason

log = logging.getLogger(__name__)

# An entry that waits for another one, or for something that can't be told, is looked at again so soon.
SOON = timedelta(seconds=2)


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
    entries: Sequence[LeasedEntry], ip_limits: IPLimits, now: datetime, owed: tuple[Charge, ...] = ()
) -> Decisions:
    """Charge `entries` to the windows of those that they count for, after what is `owed`. Raises django.db.Error.

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
    asked: list[_Judged] = []
    requests = [owed]
    for one in judged:
        behind = next((c for c in one.charges if c.enforced and _is_behind(one.entry, c, waiting)), None)
        refusal = behind or bounces.refusal(one.by_bounces, decisions.reached, now)
        if refusal is not None:
            _hold(decisions, one.entry, refusal, waiting, None, now)
        else:
            asked.append(one)
            requests.append(one.counted)
    try:
        counted = windows.count(requests)
    except RedisError as error:
        log.warning("Redis is away, nothing is throttled: %s", error)
        windows.mistrust()
        decisions.going += [(one.entry, one.limited) for one in asked]
        return decisions
    _note_use(decisions, counted)
    # Nobody may overtake what waits.
    decisions.rooms = {window: room for window, room in counted.rooms.items() if window not in waiting}
    for one, refusal in zip(asked, counted.refusals[1:], strict=True):
        if refusal is None:
            decisions.going.append((one.entry, one.limited))
        else:
            _hold(decisions, one.entry, refusal, waiting, counted.states, now)
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


def _hold(
    decisions: Decisions, entry: LeasedEntry, charge: Charge, waiting: Mapping[tuple[Subject, Metric], Queue],
    states: Mapping[Window, State] | None, now: datetime,
) -> None:  # fmt: skip
    """Have an entry wait for as long as those before it need, in the window and in the queue."""
    subject, limit = charge.subject, charge.limit
    queue = waiting.get((subject, limit.metric))
    used, until = limit.amount, None
    if limit.metric is Metric.BOUNCES:
        found = bounces.returned(subject.name, limit.amount)
        used, until = found.count, found.until
    else:
        window = Window(subject, limit.metric)
        state = states.get(window) if states is not None else _look(window)
        needed = charge.cost + _ahead(decisions, charge)
        if state is not None:
            used, until = state.used, now + timedelta(seconds=seconds_until(state, limit.amount, needed))
        if queue is not None and entry.status != Status.THROTTLED:
            until = max(queue.until, now) + timedelta(seconds=needed * windows.SECONDS / limit.amount)
        elif queue is not None and queue.first < entry.id:
            # It was taken up a moment before the one that it waits for.
            until = now
    until = max(until or now, now + SOON)
    decisions.reached[subject, limit.metric] = reached = Reached(subject, limit, used, until, over=True)
    decisions.held.append(Held(entry, charge, until, reason(reached)))


def _ahead(decisions: Decisions, charge: Charge) -> int:
    """What those of this batch that wait for the same, and go first, will cost."""
    mine = (held.charge for held in decisions.held)
    return sum(c.cost for c in mine if c.subject == charge.subject and c.limit.metric is charge.limit.metric)


def _look(window: Window) -> State | None:
    try:
        return windows.look([window])[window]
    except RedisError:
        return None


def _note_use(decisions: Decisions, counted: Counted) -> None:
    for window, charge in counted.charges.items():
        used, limit = counted.states[window].used, charge.limit
        if notices.is_close(used, limit.amount):
            over = limit.action is ThrottleAction.NONE and used > limit.amount
            decisions.reached[window] = Reached(charge.subject, limit, used, None, over=over)
