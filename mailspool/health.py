"""Is it alive, is it ready: `/healthz` and `/readyz`, for load balancers, monitors and `make run`.

Ready is this machine: its own listeners and programs, its disk, its folders, and that it is not being drained. What all
machines share (the database, Redis, and that due mail is taken by somebody) makes each of them unready while it is
broken; the answer says of each check whether it is this machine's or shared. A stranger hears yes or no, and who may
see how we are (mailspool.visitors) what is missing. Each check answers within CHECK_SECONDS, whatever hangs behind it.
"""

from __future__ import annotations

import shutil
from collections import Counter
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
from django.utils import timezone
from redis.exceptions import RedisError

from base import schema
from base.short_cache import ShortCache
from mailspool import VERSION
from mailspool.metrics import metrics
from mailspool.redis_counts import ANSWER_SECONDS, redis_client
from mailspool.visitors import is_known, may_see
from spool.files import bucket, marks
from spool.models.machine import Machine
from spool.models.settings import current
from spool.monitoring import bucket_state, programs
from spool.monitoring.names import machine
from spool.rows import lease

CHECK_SECONDS = ANSWER_SECONDS
FRESH_SECONDS = 1.0
# Local mail is taken at once whatever else waits; a burst of mail for elsewhere may keep workers busy for minutes.
LONGEST_DUE_SECONDS = {"local": 60.0, "remote": 600.0}
_CHECKING_THREADS = 5
# What is of all machines; any other check is of this one.
SHARED = frozenset({"database", "redis", "mail", "bucket"})
# What is told, and keeps nobody from sending here: all machines have the same, and only large messages wait for it.
TOLD = frozenset({"bucket"})
_MEGABYTE = 1024 * 1024


class NotReady(Exception):
    """What is missing, in a few words."""


@dataclass(frozen=True, slots=True)
class Check:
    """One answer to "can this installation take and deliver mail?"."""

    name: str
    ok: bool
    detail: str

    @property
    def of(self) -> str:
        """Whose it is: `machine`, or `shared` with all others."""
        return "shared" if self.name in SHARED else "machine"


class Probes:
    """Middleware, first of all: a probe names the host by an address, has no session and may not cost a query.

    Who has a session goes on to the pages of the same names, which know administrators.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return self._get_response(request)
        if request.path_info == "/healthz":
            return healthz(request)
        may_be_known = settings.SESSION_COOKIE_NAME in request.COOKIES
        if request.path_info == "/readyz" and (is_known(request) or not may_be_known):
            return _readiness(with_details=is_known(request))
        if request.path_info == "/metrics" and is_known(request):
            return metrics(request)
        return self._get_response(request)


def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else is asked. Which version it is, is no stranger's business."""
    text = f"ok\nMailspool {VERSION}\n" if is_known(request) else "ok\n"
    return HttpResponse(text, content_type="text/plain", headers={"Cache-Control": "no-store"})


def readyz(request: HttpRequest) -> HttpResponse:
    """The page, for who has a session."""
    return _readiness(with_details=may_see(request))


def _readiness(*, with_details: bool) -> HttpResponse:
    """200 when mail can be taken in and delivered here, 503 when not."""
    found = checks()
    answer: dict[str, object] = {"ready": all(check.ok for check in found if check.name not in TOLD)}
    if with_details:
        answer["machine"] = machine()
        answer["checks"] = {check.name: {"ok": check.ok, "of": check.of, "detail": check.detail} for check in found}
    return JsonResponse(answer, status=200 if answer["ready"] else 503, headers={"Cache-Control": "no-store"})


def checks() -> list[Check]:
    """All checks, run side by side, at most FRESH_SECONDS ago: a stranger may ask as often as it likes."""
    return _kept.current()


def forget() -> None:
    """Have the next question looked into."""
    _kept.forget()


def _checks() -> list[Check]:
    began = monotonic()
    pool = _pool()
    works = {
        "database": _database,
        "schema": _schema,
        "folders": _folders,
        "disk": _disk,
        "mail": _mail,
        "machine": _machine,
    }
    futures = {name: pool.submit(work) for name, work in works.items()}
    running = pool.submit(_programs)
    # A thread of its own: a database that hangs keeps the others.
    redis = _redis_pool().submit(_redis)
    found = [_outcome(name, future, began) for name, future in futures.items()]
    is_known = _outcome("programs", running, began).ok
    found.append(_outcome("redis", redis, began))
    if bucket.is_set():
        away = bucket_state.fault()
        found.append(Check("bucket", not away, f"large messages are answered 451: {away}" if away else "answers"))
    for name in programs.NEEDED:
        count = running.result()[name] if is_known else 0
        found.append(Check(name, count > 0, f"{count} running" if is_known else "unknown without the database"))
    return found


_kept = ShortCache(FRESH_SECONDS, _checks, one_reader=True)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_CHECKING_THREADS, thread_name_prefix="health")


@cache
def _redis_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="health-redis")


def _outcome(name: str, future: Future[str] | Future[Counter[str]], began: float) -> Check:
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


def _folders() -> str:
    try:
        missing = marks.faults()
    finally:
        connection.close()
    if missing:
        raise NotReady(" ".join(missing))
    return "this installation's"


def _disk() -> str:
    try:
        needed_mb = current().min_free_mb
    finally:
        connection.close()
    free_mb = shutil.disk_usage(settings.HOME.spool).free // _MEGABYTE
    if free_mb < needed_mb:
        raise NotReady(f"{free_mb} MB free, {needed_mb} MB needed: new mail is answered 452")
    return f"{free_mb} MB free"


def _mail() -> str:
    """Whether due mail is taken up, by whichever machine."""
    try:
        waited = lease.overdue(timezone.now())
    finally:
        connection.close()
    late = [
        f"{room} mail has been due for {waited[room]:.0f} s and no worker takes it"
        for room, most in LONGEST_DUE_SECONDS.items()
        if waited[room] > most
    ]
    if late:
        raise NotReady("; ".join(late))
    return "due mail is taken"


def _machine() -> str:
    try:
        since = Machine.objects.filter(name=machine()).values_list("drain_since", "drain_by").first()
    finally:
        connection.close()
    if since is not None and since[0] is not None:
        raise NotReady(f"draining since {since[0]:%Y-%m-%d %H:%M} UTC, as {since[1]} asked for")
    return "takes mail"


def _programs() -> Counter[str]:
    try:
        return Counter(one.kind for one in programs.alive(on=machine()))
    finally:
        connection.close()


def _redis() -> str:
    redis_client().ping()
    return "answers"
