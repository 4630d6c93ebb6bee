"""`/metrics` for Prometheus. Every number comes from the database, Redis or the disk, so any web process can answer.

For programs on this machine, for holders of MAILSPOOL_METRICS_TOKEN, and for system administrators.
"""

from __future__ import annotations

import platform
import shutil
import threading
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any, cast

import django
from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models import Count, Min, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from mailspool import VERSION, heartbeats
from mailspool.health import redis_client
from mailspool.visitors import may_see
from spool.models import AlertEvent, TrafficKind, TrafficSeries, TrafficState, TrafficTotal
from spool.models.entry import Entry, Status
from spool.models.traffic import LATENCY, WHOLE
from spool.traffic.rolling import minute_of, window_start
from spool.traffic.series import percentile

FRESH_SECONDS = 5.0
_lock = threading.Lock()
_kept: tuple[float, bytes] | None = None


def metrics(request: HttpRequest) -> HttpResponse:
    """The numbers, at most FRESH_SECONDS old."""
    if not may_see(request):
        return HttpResponse(
            "Metrics are for this machine, for system administrators, and for holders of MAILSPOOL_METRICS_TOKEN.\n",
            status=403, content_type="text/plain",
        )  # fmt: skip
    return HttpResponse(_exposition(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def forget() -> None:
    """Drop the numbers that this process keeps."""
    global _kept
    _kept = None


def _exposition() -> bytes:
    global _kept
    with _lock:
        if _kept is None or monotonic() - _kept[0] >= FRESH_SECONDS:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(_Numbers())
            _kept = (monotonic(), generate_latest(registry))
        return _kept[1]


class _Numbers(Collector):
    """Collects everything anew; what can't be reached is left out, and said by `mailspool_up`."""

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("mailspool_up", "Whether a part answers (1) or not (0).", labels=["part"])
        try:
            numbers = [*_spool(), *_traffic()]
            up.add_metric(["database"], 1)
        except DatabaseError:
            numbers = []
            up.add_metric(["database"], 0)
        try:
            numbers += list(_programs())
            up.add_metric(["redis"], 1)
        except RedisError:
            up.add_metric(["redis"], 0)
        yield up
        yield from numbers
        free = shutil.disk_usage(settings.HOME.spool).free
        yield GaugeMetricFamily("mailspool_free_bytes", "Disk space left for the spool.", value=free)
        build = {
            "version": VERSION, "python": platform.python_version(), "django": django.get_version(),
            "database": settings.DATABASES["default"]["ENGINE"].rpartition(".")[2],
        }  # fmt: skip
        yield InfoMetricFamily("mailspool_build", "What runs here.", value=build)


def _spool() -> Iterator[Metric]:
    now = timezone.now()
    rows = Entry.objects.order_by().values_list("status").annotate(
        count=Count("id"), due=Count("id", filter=Q(due_at__lte=now, leased_by="")),
        leased=Count("id", filter=~Q(leased_by="")), held=Count("id", filter=Q(hold=True)), oldest=Min("created"),
    )  # fmt: skip
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
    oldest = min((counts[4] for counts in by_status.values()), default=now)
    yield GaugeMetricFamily(
        "mailspool_oldest_entry_seconds",
        "Age of the oldest message in the spool.",
        value=(now - oldest).total_seconds(),
    )


def _traffic() -> Iterator[Metric]:
    now = timezone.now()
    kinds_of_all = [kind.value for _, _, _, kinds in _COUNTERS for kind in kinds.values()]
    totals = dict(TrafficTotal.objects.filter(kind__in=kinds_of_all, key=WHOLE).values_list("kind", "total"))
    for name, text, label, kinds in _COUNTERS:
        counted = CounterMetricFamily(f"mailspool_{name}", text, labels=[label])
        for value, kind in kinds.items():
            counted.add_metric([value], totals.get(kind.value, 0))
        yield counted
    sums = TrafficSeries.objects.filter(span=1, minute__gte=window_start(minute_of(now), 5)).aggregate(
        **{name: Sum(name, default=0) for name in LATENCY}
    )
    recent = [sums[name] for name in LATENCY]
    latency = GaugeMetricFamily(
        "mailspool_delivery_latency_seconds", "Time in the spool, of the last five minutes' deliveries.",
        labels=["quantile"],
    )  # fmt: skip
    for share in (0.5, 0.95):
        if (seconds := percentile(recent, share)) is not None:
            latency.add_metric([str(share)], seconds)
    yield latency
    state = TrafficState.objects.first()
    age = (now - state.rolled).total_seconds() if state else 0.0
    yield GaugeMetricFamily("mailspool_traffic_age_seconds", "How old these counts are.", value=age)
    yield GaugeMetricFamily(
        "mailspool_alerts_open", "Alerts that are going on.", value=AlertEvent.objects.filter(ended=None).count()
    )


_COUNTERS = (
    (
        "received", "Messages taken in.", "direction",
        {"inbound": TrafficKind.RECEIVED_INBOUND, "outbound": TrafficKind.RECEIVED_OUTBOUND},
    ),
    ("delivered", "Recipients delivered to.", "kind", {"local": TrafficKind.LOCAL, "remote": TrafficKind.REMOTE}),
    ("bounced", "Recipients that bounced or expired.", "kind", {"all": TrafficKind.BOUNCED}),
)  # fmt: skip


def _programs() -> Iterator[Metric]:
    client = redis_client()
    alive = heartbeats.alive(client)
    running = GaugeMetricFamily("mailspool_programs", "Programs that are alive.", labels=["kind"])
    for kind, keys in alive.items():
        running.add_metric([kind], len(keys))
    yield running
    counted = CounterMetricFamily(
        "mailspool_smtpd", "What a listener has counted since it started.", labels=["listener", "event"]
    )
    for key in alive["listeners"]:
        if client.type(key) != b"hash":
            continue
        counters = cast("dict[bytes, bytes]", cast(Any, client).hgetall(key))
        for event, value in sorted(counters.items()):
            if value.isdigit():
                counted.add_metric([key.removeprefix(heartbeats.PREFIXES["listeners"]), event.decode()], int(value))
    yield counted
