"""The metric families of `/metrics`, by where their numbers come from. Names and units as Prometheus asks.

Rows are of the whole installation, and so are counts, which Redis adds up over machines; disk and certificate are this
machine's. No label's values grow with the traffic: of destinations the most frequent are named.
"""

from __future__ import annotations

import platform
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import django
from django.conf import settings
from django.db.models import Count, Min, Q
from django.utils import timezone
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from redis import Redis

from mailspool import VERSION, redis_counts
from spool.models import AlertEvent, TrafficKind, TrafficState, TrafficTotal
from spool.models.entry import Entry, Status
from spool.models.settings import current
from spool.models.traffic import WHOLE
from spool.monitoring import machines, tally
from spool.monitoring.names import KINDS
from spool.rows import lease
from spool.smtpd.tls import expires

MOST_DESTINATIONS: Final = 30
_COUNTERS: Final = {
    "connections": "SMTP connections of clients.",
    "refusals": "Refusals by the SMTP ports, by reply code and what the enhanced status code is about.",
    "logins": "Logins by SMTP and on the web: ok, failed, or closed because too many had failed.",
    "attempts": "Attempts to deliver to a recipient, by what came of them.",
    "encryption": "Transactions with other hosts, by what their certificate was verified by; none is clear text.",
    "deferrals": "Recipients that have to wait for another attempt, by what it was about.",
}
_DESTINATIONS: Final = "Attempts for the most frequent domains elsewhere; the others are one."


def of_database() -> Iterator[Metric]:
    """Raises django.db.Error."""
    yield from _entries()
    yield from _traffic()
    yield from _machines()
    yield GaugeMetricFamily(
        "mailspool_alerts_open",
        "Alerts that are going on.",
        value=AlertEvent.objects.filter(ended=None, is_test=False).count(),
    )


def of_redis(client: Redis) -> Iterator[Metric]:
    """Raises RedisError."""
    jobs = GaugeMetricFamily("mailspool_queued_jobs", "Jobs that wait for a worker.", labels=["queue"])
    for name in settings.RQ_QUEUES:
        jobs.add_metric([name], client.llen(f"rq:queue:{name}"))
    yield jobs
    counts = redis_counts.counts(client)
    for name, text in _COUNTERS.items():
        yield _counter(name, text, counts)
    yield _destinations(counts)
    yield _histogram(tally.LATENCY, "Time that delivered messages spent in the spool, by recipient.", counts)
    yield _histogram(tally.DURATION, "Time that attempts took, connecting included.", counts)


def of_machine() -> Iterator[Metric]:
    """Never raises."""
    free = GaugeMetricFamily("mailspool_free_bytes", "Disk space left for a folder.", labels=["folder"])
    for name, folder in (
        ("home", settings.HOME.root),
        ("spool", settings.HOME.spool),
        ("maildirs", settings.HOME.maildirs),
    ):
        try:
            free.add_metric([name], shutil.disk_usage(folder).free)
        except OSError:
            continue
    yield free
    build = {
        "version": VERSION,
        "python": platform.python_version(),
        "django": django.get_version(),
        "database": settings.DATABASES["default"]["ENGINE"].rpartition(".")[2],
    }
    yield InfoMetricFamily("mailspool_build", "What runs here.", value=build)


def certificate() -> Iterator[Metric]:
    """Of the SMTP ports. Raises django.db.Error, and OSError or ValueError when it can't be read."""
    yield GaugeMetricFamily(
        "mailspool_certificate_expiry_timestamp_seconds",
        "When the certificate of the SMTP ports expires.",
        value=expires(current()).timestamp(),
    )


def _entries() -> Iterator[Metric]:
    now = timezone.now()
    rows = (
        Entry.objects.order_by()
        .values_list("status")
        .annotate(
            count=Count("id"),
            due=Count(
                "id",
                filter=Q(due_at__lte=now, leased_by="") | Q(turn_at__isnull=False, next_attempt__lte=now, leased_by=""),
            ),
            leased=Count("id", filter=~Q(leased_by="")),
            held=Count("id", filter=Q(hold=True)),
            oldest=Min("created"),
        )
    )
    by_status = {status: counts for status, *counts in rows}
    entries = GaugeMetricFamily("mailspool_entries", "Messages in the spool.", labels=["status"])
    for status in Status:
        entries.add_metric([status.value], by_status[status.value][0] if status.value in by_status else 0)
    yield entries
    for position, name, text in (
        (1, "due", "Messages that a worker may take now."),
        (2, "leased", "Messages in work."),
        (3, "held", "Messages on hold."),
    ):
        yield GaugeMetricFamily(f"mailspool_entries_{name}", text, value=sum(c[position] for c in by_status.values()))
    untaken = GaugeMetricFamily(
        "mailspool_oldest_due_seconds",
        "For how long the oldest due message has waited for a worker, by the room that it waits for: local, remote, low"
        " priority.",
        labels=["room"],
    )
    for room, seconds in lease.overdue(now).items():
        untaken.add_metric([room], seconds)
    yield untaken
    oldest = min((counts[4] for counts in by_status.values()), default=now)
    yield GaugeMetricFamily(
        "mailspool_oldest_entry_seconds",
        "Age of the oldest message in the spool.",
        value=(now - oldest).total_seconds(),
    )


def _traffic() -> Iterator[Metric]:
    kinds = (
        TrafficKind.RECEIVED_INBOUND,
        TrafficKind.RECEIVED_OUTBOUND,
        TrafficKind.LOCAL,
        TrafficKind.REMOTE,
        TrafficKind.BOUNCED,
    )
    rows = TrafficTotal.objects.filter(kind__in=[kind.value for kind in kinds], key=WHOLE)
    totals: Counter[int] = Counter(dict(rows.values_list("kind", "total")))
    received = CounterMetricFamily("mailspool_received", "Messages taken in.", labels=["direction"])
    received.add_metric(["inbound"], totals[TrafficKind.RECEIVED_INBOUND.value])
    received.add_metric(["outbound"], totals[TrafficKind.RECEIVED_OUTBOUND.value])
    yield received
    delivered = CounterMetricFamily("mailspool_delivered", "Recipients delivered to.", labels=["kind"])
    delivered.add_metric(["local"], totals[TrafficKind.LOCAL.value])
    delivered.add_metric(["remote"], totals[TrafficKind.REMOTE.value])
    yield delivered
    yield CounterMetricFamily(
        "mailspool_bounced", "Recipients that bounced or expired.", value=totals[TrafficKind.BOUNCED.value]
    )
    state = TrafficState.objects.first()
    age = (timezone.now() - state.rolled).total_seconds() if state else 0.0
    yield GaugeMetricFamily("mailspool_traffic_age_seconds", "How old the counts of messages are.", value=age)


def _machines() -> Iterator[Metric]:
    """Of the machines that share this database: as many labels as there are machines, `machines.MOST` at most."""
    found = machines.every()
    running = GaugeMetricFamily("mailspool_programs", "Programs that are alive.", labels=["kind"])
    for kind in KINDS:
        running.add_metric([kind], sum(one.programs.get(kind, 0) for one in found))
    yield running
    yield GaugeMetricFamily(
        "mailspool_open_connections", "SMTP connections that are open.", value=sum(one.connections for one in found)
    )
    state = GaugeMetricFamily("mailspool_machine_state", "1 for what a machine is at.", labels=["machine", "state"])
    of_kind = GaugeMetricFamily(
        "mailspool_machine_programs", "Programs that are alive on a machine.", labels=["machine", "kind"]
    )
    for one in found:
        for possible in machines.MachineState:
            state.add_metric([one.name, possible.value], float(one.state is possible))
        for kind in KINDS:
            of_kind.add_metric([one.name, kind], one.programs.get(kind, 0))
    yield state
    yield of_kind
    for name, text, value in _OF_MACHINES:
        family = GaugeMetricFamily(f"mailspool_machine_{name}", text, labels=["machine"])
        for one in found:
            if (number := value(one)) is not None:
                family.add_metric([one.name], number)
        yield family


_OF_MACHINES: Final[Sequence[tuple[str, str, Callable[[machines.MachineView], float | None]]]] = (
    ("open_connections", "SMTP connections that are open on a machine.", lambda one: one.connections),
    ("leases", "Messages that the workers of a machine have in work.", lambda one: one.leases),
    ("taken", "Messages that a machine has taken in within a minute.", lambda one: one.taken),
    ("delivered", "Recipients that a machine has delivered to within a minute.", lambda one: one.delivered),
    ("load", "Load of a machine.", lambda one: one.load),
    ("free_bytes", "Disk space left for the home of a machine.", lambda one: one.free_bytes),
)


def _counter(name: str, text: str, counts: dict[str, int]) -> Metric:
    labels = tally.COUNTERS[name]
    if not labels:
        return CounterMetricFamily(f"mailspool_{name}", text, value=counts.get(name, 0))
    family = CounterMetricFamily(f"mailspool_{name}", text, labels=labels)
    for field, number in sorted(counts.items()):
        values = field.split("|", len(labels))
        if values[0] == name and len(values) == len(labels) + 1:
            family.add_metric(values[1:], number)
    return family


def _destinations(counts: dict[str, int]) -> Metric:
    found: dict[tuple[str, str], int] = {}
    by_name: Counter[str] = Counter()
    for field, number in counts.items():
        if field.startswith("destinations|"):
            _, outcome, destination = field.split("|", 2)
            found[destination, outcome] = number
            by_name[destination] += number if destination != tally.OTHER else 0
    named = {name for name, _ in by_name.most_common(MOST_DESTINATIONS)} - {tally.OTHER}
    told: Counter[tuple[str, str]] = Counter()
    for (destination, outcome), number in found.items():
        told[destination if destination in named else tally.OTHER, outcome] += number
    family = CounterMetricFamily("mailspool_destination_attempts", _DESTINATIONS, labels=["destination", "outcome"])
    for labels, number in sorted(told.items()):
        family.add_metric(list(labels), number)
    return family


def _histogram(histogram: tally.Histogram, text: str, counts: dict[str, int]) -> Metric:
    buckets, so_far = [], 0
    for place in range(len(histogram.bounds) + 1):
        so_far += counts.get(histogram.places[place], 0)
        bound = str(histogram.bounds[place]) if place < len(histogram.bounds) else "+Inf"
        buckets.append((bound, float(so_far)))
    seconds = counts.get(histogram.sum, 0) / 1000
    return HistogramMetricFamily(f"mailspool_{histogram.name}_seconds", text, buckets=buckets, sum_value=seconds)
