"""Is it alive, is it ready: `/healthz` and `/readyz`, for load balancers, monitors and `make run`.

Each check answers within CHECK_SECONDS, whatever hangs behind it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from functools import cache
from time import monotonic

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis import Redis
from redis.exceptions import RedisError

from mailspool import VERSION, heartbeats, schema
from mailspool.visitors import is_known
from spool.models.settings import current

CHECK_SECONDS = 2.0
_CHECKING_THREADS = 4
_MEGABYTE = 1024 * 1024


class NotReady(Exception):
    """What is missing, in a few words."""


@dataclass(frozen=True, slots=True)
class Check:
    """One answer to "can this installation take and deliver mail?"."""

    name: str
    ok: bool
    detail: str


class Probes:
    """Middleware, first of all: a probe names the host by an address, has no session and may not cost a query."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info == "/healthz":
            return healthz(request)
        if request.path_info == "/readyz":
            return readyz(request)
        if request.path_info == "/metrics" and is_known(request):
            from mailspool.metrics import metrics

            return metrics(request)
        return self._get_response(request)


def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else is asked. Which version it is, is no stranger's business."""
    text = f"ok\nMailspool {VERSION}\n" if is_known(request) else "ok\n"
    return HttpResponse(text, content_type="text/plain", headers={"Cache-Control": "no-store"})


def readyz(request: HttpRequest) -> HttpResponse:
    """200 when mail can be taken in and delivered, 503 when not; what is missing is in the answer."""
    found = checks()
    ready = all(check.ok for check in found)
    return JsonResponse(
        {"ready": ready, "checks": {check.name: {"ok": check.ok, "detail": check.detail} for check in found}},
        status=200 if ready else 503,
        headers={"Cache-Control": "no-store"},
    )


def checks() -> list[Check]:
    """All checks, run side by side."""
    began = monotonic()
    pool = _pool()
    database, tables, disk = pool.submit(_database), pool.submit(_schema), pool.submit(_disk)
    redis = pool.submit(_programs)
    found = [
        _outcome("database", database, began), _outcome("schema", tables, began), _outcome("disk", disk, began)
    ]  # fmt: skip
    programs = _outcome("redis", redis, began)
    found.append(programs)
    counts = redis.result() if programs.ok else {}
    for name in heartbeats.PREFIXES:
        count = len(counts.get(name, ())) if isinstance(counts, dict) else 0
        found.append(Check(name, count > 0, f"{count} running" if programs.ok else "unknown without Redis"))
    return found


@cache
def redis_client() -> Redis:
    """A connection pool that gives up in time, unlike the queues' own, which waits for a Redis that restarts."""
    return Redis.from_url(
        str(settings.RQ_CONNECTION["URL"]), socket_connect_timeout=CHECK_SECONDS, socket_timeout=CHECK_SECONDS
    )


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_CHECKING_THREADS, thread_name_prefix="health")


def _outcome(name: str, future: Future[str] | Future[dict[str, list[str]]], began: float) -> Check:
    try:
        detail = future.result(max(0.0, began + CHECK_SECONDS - monotonic()))
    except TookTooLong:
        future.cancel()
        return Check(name, False, f"no answer within {CHECK_SECONDS:g} s")
    except (NotReady, DatabaseError, RedisError, OSError) as error:
        return Check(name, False, (str(error).strip().splitlines() or [type(error).__name__])[0])
    return Check(name, True, detail if isinstance(detail, str) else "answers")


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return "answers"
    finally:
        # The thread is not a request's: nobody else closes what it opened.
        connection.close()


def _schema() -> str:
    try:
        found = schema.examine()
    finally:
        connection.close()
    if found.fault:
        raise NotReady(found.fault)
    return found.remark or "this version's"


def _disk() -> str:
    try:
        needed_mb = current().min_free_mb
    finally:
        connection.close()
    free_mb = shutil.disk_usage(settings.HOME.spool).free // _MEGABYTE
    if free_mb < needed_mb:
        raise NotReady(f"{free_mb} MB free, {needed_mb} MB needed: new mail is answered 452")
    return f"{free_mb} MB free"


def _programs() -> dict[str, list[str]]:
    return heartbeats.alive(redis_client())
