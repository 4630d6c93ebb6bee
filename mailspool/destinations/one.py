"""What is known of one destination: what waits there and why, what it answered, how fast it goes, who did what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _lazy

from base.audit.models import AuditEvent
from mailspool.destinations.counted import Counted
from mailspool.overview.charts import Chart, Quantity, of_numbers
from spool.delivery.remote import providers
from spool.delivery.replies import error_group
from spool.delivery.shaping import rules
from spool.delivery.shaping.limits import Key
from spool.delivery.shaping.rules import Rule
from spool.models import Attempt, Entry, TrafficKind
from spool.rows import backlog, rest, traffic_figures
from spool.traffic.rollup import HOUR, minute_of
from spool.traffic.series import RANGES, Point

# Domains that are looked at for what waits, and recipients of all of them together.
MOST_DOMAINS: Final = 60
MOST_RECIPIENTS: Final = 12_000
MOST_GROUPS: Final = 20
# The newest attempts of the server, and messages that wait, among which its answers are looked for.
NEWEST_ATTEMPTS: Final = 3_000
WAITING_LOOKED_AT: Final = 100
MOST_ANSWERS: Final = 12
MOST_EVENTS: Final = 20
SPANS: Final = {"1h": _lazy("Last hour"), "24h": _lazy("Last 24 hours")}
_STEP: Final = 5
_DAY_HOURS: Final = 24
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages for a domain with the same error, and the query of the list that shows them."""

    domain: str
    error: str
    number: int
    oldest: datetime
    query: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Answers that say the same: how many of those that were looked at, one of them, and when it last came."""

    code: int
    text: str
    number: int
    latest: datetime
    tone: str


def waiting_of(counted: Counted, domains: Sequence[str], *, is_whole: bool) -> tuple[list[Waiting], Counted]:
    """What waits, the largest groups first, and all of it. `is_whole`: all of what waits was counted. One query."""
    # Those for which mail waits, as far as that is known, come first.
    wanted = list(dict.fromkeys([*counted.domains, *domains]))[:MOST_DOMAINS]
    most = MOST_RECIPIENTS // max(1, len(wanted))
    total, looked, found = Counted(), dict.fromkeys(wanted, 0), []
    for row in backlog.of_domains(wanted, most):
        looked[row.domain] += row.recipients
        if row.error is None:
            continue
        total.adds(row.domain, row.number, row.oldest)
        asked = {"domain": row.domain, **({"error-group": row.error} if row.error else {})}
        found.append(Waiting(row.domain, row.error, row.number, row.oldest, urlencode(asked)))
    found.sort(key=lambda one: (-one.number, one.domain, one.error))
    if any(number >= most for number in looked.values()) or len(domains) > len(wanted):
        total.waiting, total.more = max(total.waiting, counted.waiting), not is_whole
        total.oldest = min((at for at in (total.oldest, counted.oldest) if at is not None), default=None)
    return found, replace(total, answered=counted.answered, refused=counted.refused)


def chart_of(domains: Sequence[str], span: str, now: datetime) -> Chart:
    """What was delivered, and refused or deferred, in a span: one query."""
    kinds = {TrafficKind.ANSWERED_DOMAIN.value: domains, TrafficKind.REFUSED_DOMAIN.value: domains}
    minute = minute_of(now)
    if span == "24h":
        step, count = HOUR, _DAY_HOURS
        first = (minute // HOUR - count + 1) * HOUR
        title = gettext("Recipients per hour, last 24 hours")
    else:
        step, count = _STEP, HOUR // _STEP
        first = (minute // _STEP - count + 1) * _STEP
        title = gettext("Recipients per 5 minutes, last hour")
    numbers = {kind: [0.0] * count for kind in kinds}
    for kind, place, number in traffic_figures.sums(kinds, first, step):
        if 0 <= place < count:
            numbers[kind][place] += number
    answered, refused = numbers.values()
    delivered = [max(0.0, all_of - some) for all_of, some in zip(answered, refused, strict=True)]
    points = [Point(first + number * step, step) for number in range(count)]
    quantities = [
        Quantity(gettext("Delivered"), "3", delivered),
        Quantity(gettext("Refused or deferred"), "8", refused),
    ]
    return of_numbers("destination", title, points, RANGES[span], quantities)


def answers_of(key: Key, domains: Sequence[str]) -> list[Answer]:
    """The last answers, those that say the same together: of the newest attempts of the server, and of those at what
    waits longest. Four queries.
    """
    columns = ("pk", "at", "host", "code", "reply")
    rows = list(Attempt.objects.order_by("-at").values_list(*columns)[:NEWEST_ATTEMPTS])
    ids = rest.waiting_for(domains[:MOST_DOMAINS], _LONG_AGO, WAITING_LOOKED_AT)
    names = list(Entry.objects.filter(pk__in=ids).values_list("file_name", flat=True))
    rows += Attempt.objects.filter(file_name__in=names).order_by("-at").values_list(*columns)[:NEWEST_ATTEMPTS]
    is_its = _Hosts(key)
    groups: dict[tuple[int, str], tuple[int, datetime, str]] = {}
    for _, at, host, code, reply in {row[0]: row for row in rows}.values():
        if is_its(host):
            # Of what it took, queue ids are all the difference there is.
            group = (code, error_group(reply) if code >= 400 or not code else "")
            number, latest, text = groups.get(group, (0, at, reply))
            groups[group] = (number + 1, max(latest, at), text if latest >= at else reply)
    found = [
        Answer(
            code,
            text.removeprefix(f"{code} "),
            number,
            latest,
            "good" if 200 <= code < 400 else "bad" if code >= 500 else "waiting",
        )
        for (code, _), (number, latest, text) in groups.items()
    ]
    return sorted(found, key=lambda one: one.latest, reverse=True)[:MOST_ANSWERS]


class _Hosts:
    """Whether a host is one of a site's."""

    def __init__(self, key: Key) -> None:
        self._site = key.site
        self._names = {name.partition(":")[0] for name in key.site.split(" ")}
        self._known: dict[str, bool] = {}

    def __call__(self, host: str) -> bool:
        if host not in self._known:
            self._known[host] = bool(host) and (host in self._names or providers.site_of([host]) == self._site)
        return self._known[host]


def rules_for(names: Sequence[str]) -> list[Rule]:
    """Rules for those domains alone."""
    book = rules.cached()
    return list(dict.fromkeys(rule for name in names for rule in book.of_domain(name)))


def history_of(name: str) -> list[AuditEvent]:
    """What administrators did to it, the newest first: one query."""
    return list(AuditEvent.objects.filter(kind="destination", key=name).order_by("-at", "-id")[:MOST_EVENTS])
