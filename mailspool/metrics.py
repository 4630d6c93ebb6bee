"""`/metrics` for Prometheus: its numbers are of the database, Redis and this machine, so any web process can answer.

It answers whatever is away or hangs; what can't be had is left out, and said by `mailspool_up`. For programs on this
machine, for holders of MAILSPOOL_METRICS_TOKEN, and for system administrators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from functools import cache

from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from base.short_cache import ShortCache
from mailspool import families
from mailspool.redis_counts import redis_client
from mailspool.visitors import may_see

FRESH_SECONDS = 5.0
# How long the database may take; with a million messages it needs less than one.
PATIENCE_SECONDS = 5.0


def metrics(request: HttpRequest) -> HttpResponse:
    """The numbers, at most FRESH_SECONDS old."""
    if not may_see(request):
        return HttpResponse(
            "Metrics are for this machine, for system administrators, and for holders of MAILSPOOL_METRICS_TOKEN.\n",
            status=403,
            content_type="text/plain",
        )
    return HttpResponse(_kept.current(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def forget() -> None:
    """Drop the numbers that this process keeps."""
    _kept.forget()


def _exposition() -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers())
    return generate_latest(registry)


_kept = ShortCache(FRESH_SECONDS, _exposition, one_reader=True)


class _Numbers(Collector):
    """Collects everything anew."""

    def collect(self) -> Iterable[Metric]:
        found = {"database": _from_database(families.of_database), "redis": _from_redis()}
        up = GaugeMetricFamily("mailspool_up", "Whether a part answers (1) or not (0).", labels=["part"])
        for part, numbers in found.items():
            up.add_metric([part], numbers is not None)
        yield up
        for numbers in found.values():
            yield from numbers or []
        yield from families.of_machine()
        # With the database away it isn't known which certificate that is.
        yield from (_from_database(families.certificate) if found["database"] is not None else None) or []


def _from_database(numbers: Callable[[], Iterator[Metric]]) -> list[Metric] | None:
    """None when it does not answer in time: then one thread waits for it, and others for that one."""
    future = _thread().submit(_asked, numbers)
    try:
        return future.result(PATIENCE_SECONDS)
    except TookTooLong:
        future.cancel()
        return None
    except (DatabaseError, OSError, ValueError):
        return None


def _asked(numbers: Callable[[], Iterator[Metric]]) -> list[Metric]:
    try:
        return list(numbers())
    finally:
        # The thread is not a request's: nobody else closes what it opened.
        connection.close()


def _from_redis() -> list[Metric] | None:
    try:
        return list(families.of_redis(redis_client()))
    except RedisError:
        return None


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="metrics")
