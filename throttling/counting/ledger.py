"""The ledger in the database: what has gone on, what waits and in which order, and where windows stand by it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.utils import timezone

from accounts.models import Metric, ThrottleAction
from spool.message.envelope import LeasedEntry
from spool.models.entry import Entry
from spool.rows import entries as rows_of_entries
from spool.rows import rest, statements
from throttling.counting.replay import replay
from throttling.counting.state import SECONDS, State, Window
from throttling.models import HeldEntry, Passage, ThrottleEvent
from throttling.subjects import Charge, Cost, Limited, Subject, SubjectKind, cost_of

# Two windows; and what is longer ago has no weight.
KEPT = timedelta(hours=3)
_COLUMNS = ("file_name", "at", "sender", "domain", "client_ip", "recipients", "size_bytes")
_INSERT = (
    f"INSERT INTO throttling_passage ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"  # noqa: S608
    " ON CONFLICT DO NOTHING"
)
_TYPES = ("text", "bigint", "text", "text", "text", "bigint", "bigint")
_INSERT_ARRAYS = (
    f"INSERT INTO throttling_passage ({', '.join(_COLUMNS)})"  # noqa: S608
    f" SELECT * FROM unnest({', '.join(f'%s::{name}[]' for name in _TYPES)}) ON CONFLICT DO NOTHING"
)
_COLUMN_OF = {
    SubjectKind.USER: "sender",
    SubjectKind.LIST: "sender",
    SubjectKind.DOMAIN: "domain",
    SubjectKind.IP: "client_ip",
}
# How many of a queue are looked at together, behind a head that has gone.
_AT_A_TIME = 500
# Windows are replayed from sums of a minute: exact in amount, and to the minute in time.
_BUCKET_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Queue:
    """What already waits for a limit, apart from the entries that are being decided: its first entry, and until when
    its last one waits."""

    first: int
    until: datetime


def passed(names: Sequence[str]) -> set[str]:
    """Those of `names` (of files) that have gone on already."""
    return set(Passage.objects.filter(file_name__in=names).values_list("file_name", flat=True))


_FIRST = (
    "SELECT MIN(h.entry_id) FROM throttling_heldentry h"
    " WHERE h.name = s.name AND h.kind = s.kind AND h.metric = s.metric AND NOT h.entry_id {}"
)
_UNTIL = (
    "SELECT h.until FROM throttling_heldentry h WHERE h.name = s.name AND h.kind = s.kind AND h.metric = s.metric"
    " ORDER BY h.entry_id DESC LIMIT 1"
)


def passed_and_held(names: Sequence[str]) -> tuple[set[str], bool]:
    """Those of `names` (of files) that have gone on already, and whether anything at all waits: one statement."""
    clause, parameters = statements.id_list(names)  # type: ignore[arg-type]
    found = statements.execute(
        f"SELECT file_name FROM throttling_passage WHERE file_name {clause}"  # noqa: S608
        " UNION ALL SELECT '' FROM (SELECT 1 FROM throttling_heldentry LIMIT 1) AS held",
        parameters,
    ).fetchall()
    known = {row[0] for row in found}
    return known - {""}, "" in known


def queues(limits: Collection[tuple[Subject, Metric]], without: Sequence[int]) -> dict[tuple[Subject, Metric], Queue]:
    """What waits for `limits`, without the entries that are being decided just now.

    The ends of each queue are looked up by the index, however long it is.
    """
    if not limits:
        return {}
    clause, parameters = statements.id_list(without)
    wanted = [(subject.kind.value, subject.name, metric.value) for subject, metric in limits]
    rows = statements.execute(
        f"WITH s (kind, name, metric) AS (VALUES {', '.join(['(%s, %s, %s)'] * len(wanted))})"  # noqa: S608
        f" SELECT s.kind, s.name, s.metric, ({_FIRST.format(clause)}), ({_UNTIL}) FROM s",
        [*(text for row in wanted for text in row), *parameters],
    ).fetchall()
    waiting = rows_of_entries.throttled([row[3] for row in rows if row[3] is not None])
    found = {}
    for kind, name, metric, first, until in rows:
        if first is None:
            continue
        head = first if first in waiting else _first_throttled(kind, name, metric, first, without)
        if head is not None:
            found[Subject(SubjectKind(kind), name), Metric(metric)] = Queue(head, statements.from_db_time(until))
    return found


def _first_throttled(kind: str, name: str, metric: str, after: int, without: Sequence[int]) -> int | None:
    """The first of a queue behind `after` that waits still: what has left the spool is swept later."""
    held = HeldEntry.objects.filter(kind=kind, name=name, metric=metric).order_by("entry_id")
    while ids := list(held.filter(entry_id__gt=after).values_list("entry_id", flat=True)[:_AT_A_TIME]):
        if waiting := rows_of_entries.throttled(ids) - {*without}:
            return min(waiting)
        after = ids[-1]
    return None


@dataclass(frozen=True, slots=True)
class Held:
    """An entry that waits for what `charge` counts, and is looked at again at `until`."""

    entry: LeasedEntry
    charge: Charge
    until: datetime
    reason: str


Going = Sequence[tuple[LeasedEntry, Sequence[Limited]]]


def write_waiting(waited: Sequence[int], held: Sequence[Held], now: datetime) -> None:
    """Note entries that wait, and the ids of those that wait no longer, in the caller's transaction."""
    if waited:
        HeldEntry.objects.filter(entry_id__in=waited).delete()
    if held:
        _write_held(held, now)


def writing_passages(going: Going, now: datetime) -> Callable[[], None] | None:
    """What notes entries that go on, to be called in a transaction soon after.

    A worker that is killed before counts them once more when they come by again; it loses no mail.
    """
    rows = _passage_rows(going, int(now.timestamp()))
    return partial(_write_passages, rows) if rows else None


def _write_passages(rows: Sequence[tuple[object, ...]]) -> None:
    if statements.on_sqlite():
        statements.execute_many(_INSERT, rows)
    else:
        statements.execute(_INSERT_ARRAYS, [list(column) for column in zip(*rows, strict=True)])


def pass_uncounted(entry_ids: Sequence[int], now: datetime) -> None:
    """Note entries that go on and count for nobody: they are not looked at any more. In the caller's transaction."""
    moment = int(now.timestamp())
    rows = [(name, moment, "", "", "", recipients, size) for name, recipients, size in rows_of_entries.sizes(entry_ids)]
    if rows:
        _write_passages(rows)


def _passage_rows(going: Going, moment: int) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for entry, limited in going:
        names = {"sender": "", "domain": "", "client_ip": ""}
        for one in limited:
            names[_COLUMN_OF[one.subject.kind]] = one.subject.name
            names["domain"] = names["domain"] or one.subject.domain
        rows.append(
            (
                entry.file_name,
                moment,
                names["sender"],
                names["domain"],
                names["client_ip"],
                cost_of(entry).recipients,
                entry.size_bytes,
            )
        )
    return rows


def _write_held(held: Sequence[Held], now: datetime) -> None:
    HeldEntry.objects.bulk_create(
        [
            HeldEntry(
                entry_id=one.entry.id,
                kind=one.charge.subject.kind,
                name=one.charge.subject.name,
                metric=one.charge.limit.metric,
                cost=one.charge.cost,
                since=now,
                until=one.until,
            )
            for one in held
        ],
        update_conflicts=True,
        unique_fields=["entry_id"],
        update_fields=["kind", "name", "metric", "cost", "until"],
    )
    # At once, not only with the pass's next round: from here on others are behind them.
    rest.throttle([(one.reason[:500], one.entry.id) for one in held])


def states(windows: Iterable[Window]) -> dict[Window, State]:
    """Where windows must stand, by what has gone on and by what a limit that rejects has let in since."""
    now = timezone.now().timestamp()
    by_column: dict[str, list[Window]] = {}
    for window in windows:
        by_column.setdefault(_COLUMN_OF[window.subject.kind], []).append(window)
    found: dict[Window, State] = {}
    for column, of_column in by_column.items():
        counted: dict[tuple[str, Metric], list[tuple[float, int]]] = {}
        names = {window.subject.name for window in of_column}
        for name, moment, messages, recipients, size in _passages(column, names, now):
            counted.setdefault((name, Metric.MESSAGES), []).append((moment, messages))
            counted.setdefault((name, Metric.RECIPIENTS), []).append((moment, recipients))
            counted.setdefault((name, Metric.BANDWIDTH), []).append((moment, size))
        for window in of_column:
            sums = counted.get((window.subject.name, window.metric), [])
            found[window] = replay(sorted(sums + _let_in(window, now)), now)
    return found


def _passages(column: str, names: set[str], now: float) -> Iterator[tuple[str, float, int, int, int]]:
    """(name, UNIX seconds, messages, recipients, bytes): sums of the last two hours, by the minute."""
    marks = ", ".join(["%s"] * len(names))
    rows = statements.execute(
        f"SELECT {column}, MIN(at), COUNT(*), SUM(recipients), SUM(recipients * size_bytes) FROM throttling_passage"  # noqa: S608
        f" WHERE {column} IN ({marks}) AND at > %s GROUP BY {column}, at / {_BUCKET_SECONDS}",
        [*names, int(now) - 2 * SECONDS],
    ).fetchall()
    for name, moment, messages, recipients, size in rows:
        # What lies ahead was written before the clock was set back.
        yield name, min(float(moment), now), int(messages), int(recipients), int(size)


def _let_in(window: Window, now: float) -> list[tuple[float, int]]:
    """What the SMTP check has counted and no worker has taken up yet: it is in no passage."""
    if not _rejects(window):
        return []
    since = released_since(window.subject, timezone.now() - timedelta(seconds=SECONDS))
    new = Entry.objects.filter(attempts=0, origin="smtp", created__gt=since)
    kind, name = window.subject.kind, window.subject.name
    if kind is SubjectKind.USER:
        new = new.filter(auth_user=name)
    elif kind is SubjectKind.DOMAIN:
        new = new.filter(sender_domain=name).exclude(auth_user="")
    elif kind is SubjectKind.IP:
        new = new.filter(client_ip=name, auth_user="")
    else:
        return []
    rows = list(new.order_by().values_list("file_name", "created", "recipients_total", "size_bytes"))
    known: set[str] = set()
    for start in range(0, len(rows), 5000):
        known |= passed([row[0] for row in rows[start : start + 5000]])
    return [
        (min(created.timestamp(), now), Cost(recipients, size).of(window.metric))
        for file_name, created, recipients, size in rows
        if file_name not in known
    ]


def _rejects(window: Window) -> bool:
    from throttling.counting import limits

    found = limits.of(window.subject)
    return any(limit.metric is window.metric and limit.action is ThrottleAction.REJECT for limit in found)


def released_since(subject: Subject, since: datetime) -> datetime:
    """When somebody last released a subject; `since` where nobody has after that."""
    released = ThrottleEvent.objects.filter(kind=subject.kind, name=subject.name, ended__gt=since).exclude(ended_by="")
    latest = released.order_by("-ended").values_list("ended", flat=True).first()
    return latest or since


def forget(subject: Subject) -> None:
    """Have nothing counted for a subject any more. What went on stays known as that."""
    column = _COLUMN_OF[subject.kind]
    with statements.write_transaction():
        Passage.objects.filter(**{column: subject.name}).update(**{column: ""})


def purge(now: datetime) -> int:
    """Remove passages that count no longer; how many. An entry that has waited longer is not in the ledger at all."""
    with statements.write_transaction():
        removed, _ = Passage.objects.filter(at__lt=int((now - KEPT).timestamp())).delete()
    return removed
