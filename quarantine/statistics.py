"""How the scanners and checks are doing: from the counts of the last days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import F, Max, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from quarantine.models.count import CheckCount

DAYS = 14


@dataclass(frozen=True, slots=True)
class Health:
    """One engine. `state` is good, bad (it failed when it was last asked) or quiet (nobody has asked it)."""

    name: str
    state: str
    words: str
    runs: int = 0
    hits: int = 0
    failures: int = 0
    average_ms: float = 0.0
    last_answer: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """What was caught on one day. `height` is its bar's, in percent."""

    day: date
    hits: int
    height: int


def health_of(names: Iterable[str], days: int = 7) -> list[Health]:
    """The engines of these names, in their order, over the last days. Two queries."""
    wanted = list(dict.fromkeys(names))
    since = timezone.now().date() - timedelta(days=days - 1)
    rows = CheckCount.objects.filter(name__in=wanted, day__gte=since)
    sums = {
        row["name"]: row
        for row in rows.order_by()
        .values("name")
        .annotate(
            runs_=Sum("runs"),
            hits_=Sum("hits"),
            failures_=Sum("failures"),
            seconds_=Sum("seconds"),
            answer=Max("last_answer"),
            failure=Max("last_failure"),
        )
    }
    errors = dict(
        rows.exclude(last_error="").order_by(F("last_failure").asc(nulls_first=True)).values_list("name", "last_error")
    )
    return [_health(name, sums.get(name), errors.get(name, "")) for name in wanted]


def silent_since(names: Iterable[str], now: datetime) -> dict[str, datetime]:
    """Since when those of these engines that answer nobody have not answered. One query.

    A day has counts of its own: what began yesterday has gone on if nobody was answered today.
    """
    today = now.date()
    rows = CheckCount.objects.filter(name__in=list(names), day__gte=today - timedelta(days=1)).order_by("day")
    found: dict[str, datetime] = {}
    for row in rows:
        if row.failing_since is None:
            found.pop(row.name, None)
        elif row.last_answer is not None:
            found[row.name] = row.failing_since
        else:
            found.setdefault(row.name, row.failing_since)
    return found


def counts_since(names: Iterable[str], day: date) -> dict[tuple[str, date], tuple[int, int]]:
    """Questions and failures of these engines on each day from `day` on. One query."""
    rows = CheckCount.objects.filter(name__in=list(names), day__gte=day)
    return {(row.name, row.day): (row.runs, row.failures) for row in rows}


def _health(name: str, row: Any, error: str) -> Health:
    if row is None:
        return Health(name, "quiet", _("Not asked yet"))
    answered = row["runs_"] - row["failures_"]
    failing = row["failure"] is not None and (row["answer"] is None or row["failure"] > row["answer"])
    return Health(
        name,
        "bad" if failing else "good",
        _("Does not answer") if failing else _("Answers"),
        row["runs_"],
        row["hits_"],
        row["failures_"],
        row["seconds_"] / answered * 1000 if answered > 0 else 0.0,
        row["answer"],
        error,
    )


def caught_by_day(names: Iterable[str], days: int = DAYS) -> list[Day]:
    """The hits of these engines, day by day, the latest last. One query."""
    today = timezone.now().date()
    since = today - timedelta(days=days - 1)
    found = CheckCount.objects.filter(name__in=list(names), day__gte=since).order_by().values("day")
    hits = dict(found.annotate(total=Sum("hits")).values_list("day", "total"))
    most = max(hits.values(), default=0)
    return [
        Day(day, hits.get(day, 0), round(100 * hits.get(day, 0) / most) if most else 0)
        for day in (since + timedelta(days=number) for number in range(days))
    ]
