"""The page of jobs and the command beside it: they tell what RQ does, change nothing, and say so when Redis is away."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from redis import Redis
from redis.connection import Connection, UnixDomainSocketConnection
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry

from accounts.models import Role
from base import redis_client
from base.actions.perform import perform
from mailspool.jobs import reading
from mailspool.jobs.actions import FORGET, RETRY, job_named, jobs_named
from mailspool.jobs.reading import failed, whole
from mailspool.jobs.workers import at_work, workers
from spool.actions import Actor
from spool.actions import perform as act_on
from spool.filters import SpoolFilter
from spool.flow import doorbell, intake
from spool.models import AuditEvent
from spool.monitoring.heartbeat import Heart
from spool.worker import PassWorker
from tests.support.commands import Manage, manage_with
from tests.support.failed_jobs import TRACEBACK, fail, fail_many, failed_ids
from tests.support.messages import a_submission
from tests.support.programs import a_program
from tests.support.redis import RedisServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home"), pytest.mark.alike]

ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)


def everything(redis: RedisServer) -> dict[bytes, bytes]:
    with redis.client() as client:
        return {key: client.dump(key) for key in client.keys("rq:*")}


@contextmanager
def calls() -> Iterator[Callable[[], int]]:
    """How often Redis was asked meanwhile: a pipeline is one call."""
    sent = 0
    real = Connection.send_packed_command

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal sent
        sent += 1
        return real(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        for kind in (Connection, UnixDomainSocketConnection):
            patched.setattr(kind, "send_packed_command", counted)
        yield lambda: sent


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return manage_with(capsys, monkeypatch, "mailspool")


@pytest.fixture
def hanging(redis: RedisServer) -> Iterator[None]:
    """A Redis that takes connections and answers nothing."""
    redis.daemon.signal(signal.SIGSTOP)
    yield
    redis.daemon.signal(signal.SIGCONT)
    # Until whoever was refused asks again.
    time.sleep(4.1)


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Redis.from_url("unix:///nowhere/redis.sock")
    monkeypatch.setattr(reading, "redis", lambda: nowhere)
    for name in ("mail", "maintenance"):
        monkeypatch.setattr(doorbell, f"{name}_queue", lambda name=name: Queue(name, connection=nowhere))


def page(administrator: Client, query: str = "") -> str:
    answer = administrator.get(reverse("jobs") + query)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_page_shows_what_there_is_and_changes_nothing(administrator: Client, redis: RedisServer) -> None:
    queue = doorbell.maintenance_queue()
    queue.enqueue("spool.tasks.forget", job_id="waits")
    doorbell.mail_queue().enqueue_at(
        timezone.now() + timedelta(hours=2, seconds=30), "spool.tasks.run_pass", job_id="later"
    )
    fail("failed", times=3)
    job = queue.create_job("spool.tasks.run_bulk_job", args=(7,), job_id="running", status=JobStatus.STARTED)
    job.started_at = timezone.now() - timedelta(minutes=9)
    job.worker_name = "w1"
    job.save()
    with redis.client() as client:
        # What RQ would take for the sign of a lost job: its worker was asleep, or could not reach Redis.
        client.zadd(StartedJobRegistry(queue=queue).key, {"running:e1": time.time() - 60})
    before = everything(redis)
    shown = page(administrator)
    for path in ("job/running/", "job/failed/"):
        assert administrator.get(reverse("jobs") + path).status_code == 200
    assert everything(redis) == before
    assert "Action on messages" in shown and "9 min ago" in shown and "not seen" in shown
    assert "Housekeeping" in shown and "Delivery pass" in shown and "in 2 h" in shown
    assert "OSError: [Errno 28] No space &lt;left&gt; on device" in shown and "Traceback" not in shown
    assert shown.count('data-label="Attempts">3<') == 1


def test_a_worker_is_shown_by_its_own_signs_of_life_though_rq_knows_nothing_of_it() -> None:
    worker = PassWorker([doorbell.maintenance_queue()], connection=redis_client.redis())
    seen: list[Any] = []
    job = doorbell.maintenance_queue().enqueue("time.sleep", 0, result_ttl=0)
    perform_job = worker.perform_job

    def looking(*args: Any) -> bool:
        Heart("maintenance", lambda: {"rq_name": worker.name, **worker._at_work}).beat()
        redis_client.redis().delete(worker.key)
        seen.append(workers())
        return bool(perform_job(*args))

    worker.perform_job = looking  # type: ignore[method-assign]
    worker.work(burst=True)
    [(alive, missing)] = seen
    [one] = alive
    assert not missing
    assert (one.kind, one.rq_name, one.job, one.call) == ("maintenance", worker.name, job.id, "time.sleep(0)")
    now = timezone.now()
    assert now - one.seen < timedelta(seconds=10) and now - one.since < timedelta(seconds=10)
    assert now - one.born < timedelta(minutes=1)
    # Idle again, and what RQ knows of it later is newer.
    Heart("maintenance", lambda: {"rq_name": worker.name, **worker._at_work}).beat()
    [idle] = workers()[0]
    assert (idle.job, idle.since) == ("", None)
    begun = reading.Named("j2", "spool.tasks.forget()", "maintenance", worker.name, now)
    [updated] = at_work([idle], [begun])
    assert (updated.job, updated.call, updated.since) == ("j2", "spool.tasks.forget()", now)


def test_workers_that_are_missed_are_named(administrator: Client) -> None:
    a_program("workers", "mx1", ago_seconds=121)
    shown = page(administrator)
    assert "mx1 has no mail worker" in shown and "2 min ago" in shown
    assert "No worker is running" in shown


def test_ten_thousand_failed_jobs_are_listed_by_pages_with_few_calls(
    administrator: Client, django_assert_max_num_queries: Any
) -> None:
    fail_many([f"job-{number:05}" for number in range(10_000)])
    fail("of-mail", "spool.tasks.run_pass", queue=doorbell.mail_queue())
    page(administrator)
    with calls() as count, django_assert_max_num_queries(12):
        began = time.monotonic()
        shown = page(administrator)
        assert time.monotonic() - began < 2
    # Those of the page's frame too.
    assert count() <= 30
    assert shown.count('name="job"') == 50 and "10,000" in shown
    seen: list[str] = []
    place, pages = "", 0
    while pages == 0 or place:
        some = failed(place)
        seen += [one.id for one in some.jobs]
        place, pages = some.next, pages + 1
        assert pages < 300
    assert len(seen) == len(set(seen)) == 10_001 and pages == 201
    far = page(administrator, "?from=0-9950")
    assert far.count('name="job"') == 51 - 1 and 'rel="next"' in far
    assert "No more failed jobs" in page(administrator, "?from=99999-99999")


@pytest.mark.parametrize("place", ["x", "1", "1-2-3", "-1-2", "9999999999-1", "1-٣"])
def test_a_place_that_is_none_is_the_beginning(administrator: Client, place: str) -> None:
    fail("one")
    assert 'value="one"' in page(administrator, f"?from={place}")


def test_records_that_are_broken_or_gone_do_not_hide_the_others(administrator: Client, redis: RedisServer) -> None:
    fail_many(["whole", "gone", "broken"])
    with redis.client() as client:
        client.delete(Job.key_for("gone"), Job.key_for("broken"))
        client.hset(Job.key_for("broken"), "last_heartbeat", "x")
    shown = page(administrator)
    assert shown.count("Nothing is known of it any more.") == 2 and "No space" in shown
    assert administrator.get(reverse("jobs_job", args=["gone"])).status_code == 404
    done = perform(RETRY, ROOT, jobs_named("all"))  # type: ignore[arg-type]
    assert done.sentence == "1 job queued again. 2 had lapsed, and are forgotten."
    assert failed_ids() == set()


class TestRetryAndForget:
    def test_a_retried_job_runs_and_is_failed_no_more(self) -> None:
        fail("one")
        done = perform(RETRY, ROOT, job_named("one"))  # type: ignore[arg-type]
        assert (done.sentence, done.good) == ("1 job queued again.", True)
        assert failed_ids() == set() and doorbell.maintenance_queue().get_job_ids() == ["one"]
        PassWorker([doorbell.maintenance_queue()], connection=redis_client.redis()).work(burst=True)
        assert whole("one") is None
        event = AuditEvent.objects.get()
        assert (event.action, event.on, event.key, event.done) == ("job-retry", "failed job one", "one", 1)
        assert event.outcome == "1 job queued again"

    def test_a_forgotten_job_leaves_nothing_behind(self, redis: RedisServer) -> None:
        fail("one", times=2)
        perform(FORGET, ROOT, job_named("one"))  # type: ignore[arg-type]
        with redis.client() as client:
            assert not [key for key in client.keys("*") if b"one" in key]
        assert AuditEvent.objects.get().outcome == "1 job forgotten"

    def test_chosen_ones_by_the_page_and_forgetting_asks_once_more(self, administrator: Client) -> None:
        fail_many(["a", "b", "c", "d"])
        url = reverse("jobs_act")
        answer = administrator.post(url, {"do": "retry", "job": ["a", "b"], "from": "0-0"}, follow=True)
        assert "2 jobs queued again." in answer.content.decode()
        assert answer.redirect_chain[0][0].endswith("?from=0-0")
        asked = administrator.post(url, {"do": "forget", "job": ["c"]}).content.decode()
        assert "Forget 1 job<" in asked and failed_ids() == {"c", "d"}
        answer = administrator.post(url, {"do": "forget", "job": ["c"], "sure": "1"}, follow=True)
        assert "1 job forgotten." in answer.content.decode() and failed_ids() == {"d"}
        answer = administrator.post(url, {"do": "retry", "job": ["c"]}, follow=True)
        assert "None of them has failed any more" in answer.content.decode()
        assert "Choose jobs first" in administrator.post(url, {"do": "retry"}, follow=True).content.decode()
        for wrong in ({"do": "stop", "job": ["d"]}, {"do": "retry", "job": ["x" * 201]}):
            assert administrator.post(url, wrong).status_code == 400
        assert [event.on for event in AuditEvent.objects.order_by("pk")] == ["failed jobs a, b", "failed job c"]

    def test_all_of_a_kind_and_all_by_thousands(self) -> None:
        fail_many([f"f{number}" for number in range(1500)])
        fail_many([f"p{number}" for number in range(3)], "spool.tasks.run_pass", queue=doorbell.mail_queue())
        fail("other", "time.sleep")
        with calls() as count:
            done = perform(RETRY, ROOT, jobs_named("spool.tasks.forget"))  # type: ignore[arg-type]
        assert done.sentence == "1,500 jobs queued again." and count() < 100
        assert failed_ids() == {"p0", "p1", "p2", "other"}
        assert len(doorbell.maintenance_queue().get_job_ids()) == 1500
        assert perform(FORGET, ROOT, jobs_named("all")).result == 4  # type: ignore[arg-type]
        assert failed_ids() == set()

    def test_two_who_retry_the_same_share_it(self) -> None:
        fail_many([f"f{number}" for number in range(1000)])
        said: list[int] = []

        def retry() -> None:
            try:
                said.append(perform(RETRY, ROOT, jobs_named("all")).result)  # type: ignore[arg-type]
            except Exception:
                said.append(0)
            connection.close()

        threads = [threading.Thread(target=retry) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sum(said) == 1000
        queued = doorbell.maintenance_queue().get_job_ids()
        assert len(queued) == len(set(queued)) == 1000

    def test_a_jobs_menu_has_both_for_it_and_for_all_of_its_kind(self, administrator: Client) -> None:
        fail("one")
        menu = administrator.get(reverse("thing_menu", args=["job"]), {"key": "one"}).content.decode()
        for label in ("Retry", "Forget", "Retry all: Housekeeping", "Forget all: Housekeeping"):
            assert f"</span>{label}</button>" in menu
        assert administrator.get(reverse("thing_menu", args=["job"]), {"key": "two"}).status_code == 404


class TestWithoutRedis:
    def test_the_page_says_so(self, administrator: Client, away: None) -> None:
        shown = page(administrator)
        assert "Redis does not answer" in shown and "Mail is delivered without it" in shown
        one = administrator.get(reverse("jobs_job", args=["one"]))
        assert one.status_code == 200 and "Redis does not answer" in one.content.decode()

    def test_what_is_done_says_so_and_nothing_is_written_down(self, administrator: Client, away: None) -> None:
        answer = administrator.post(reverse("jobs_act"), {"do": "retry", "job": ["one"]}, follow=True)
        assert answer.status_code == 200 and "Redis does not answer" in answer.content.decode()
        typed = {"key": "one"}
        assert administrator.post(reverse("thing_dialog", args=["job", "job-retry"]), typed).status_code == 200
        act = administrator.post(reverse("thing_act", args=["job", "job-retry"]), typed)
        assert "Redis does not answer" in act.content.decode()
        assert not AuditEvent.objects.exists()

    def test_one_that_hangs_is_waited_for_a_few_seconds(self, administrator: Client, hanging: None) -> None:
        began = time.monotonic()
        assert "Redis does not answer" in page(administrator)
        assert time.monotonic() - began < 10
        began = time.monotonic()
        answer = administrator.post(reverse("jobs_act"), {"do": "retry", "job": ["one"]}, follow=True)
        assert "Redis does not answer" in answer.content.decode()
        assert time.monotonic() - began < 20

    def test_the_command_says_so(self, manage: Manage, away: None) -> None:
        for words in (
            ["list"],
            ["workers"],
            ["queues"],
            ["show", "one"],
            ["retry", "one"],
            ["forget", "--all", "--yes"],
        ):
            ran = manage("jobs", *words)
            assert ran.status == 1 and "Redis does not answer" in ran.err


class TestCommand:
    def test_it_lists_and_shows(self, manage: Manage) -> None:
        fail("one", times=2)
        doorbell.maintenance_queue().enqueue("spool.tasks.forget", job_id="waits")
        assert "OSError" in manage("jobs", "list").out
        [row] = json.loads(manage("jobs", "list", "--json").out)
        assert (row["job"], row["call"], row["attempts"]) == ("one", "spool.tasks.forget()", 2)
        [row] = json.loads(manage("jobs", "list", "--state", "waiting", "--json").out)
        assert row["job"] == "waits"
        shown = json.loads(manage("jobs", "show", "one", "--json").out)
        assert shown["error"] == TRACEBACK.splitlines() and shown["what"] == "Housekeeping"
        assert manage("jobs", "show", "none").status == 1
        _, maintenance = json.loads(manage("jobs", "queues", "--json").out)
        assert (maintenance["waiting"], maintenance["failed"]) == (1, 1)
        assert manage("jobs", "list", "--state", "running").status == 1
        Heart("workers").beat()
        [row] = json.loads(manage("jobs", "workers", "--json").out)
        assert (row["worker"], row["now"]) == ("workers", "idle")

    def test_it_retries_and_forgets(self, manage: Manage) -> None:
        fail_many(["a", "b", "c"])
        assert manage("jobs", "retry").status == 2
        assert manage("jobs", "retry", "a", "--all").status == 2
        assert manage("jobs", "retry", "--all", "--dry-run").status == 0 and failed_ids() == {"a", "b", "c"}
        assert manage("jobs", "forget", "--all").status == 2
        assert "1 job queued again." in manage("jobs", "retry", "a").out
        done = json.loads(manage("jobs", "forget", "--kind", "spool.tasks.forget", "--yes", "--json").out)
        assert done["done"] == 2 and done["good"] and failed_ids() == set()
        assert manage("jobs", "retry", "a").status == 1
        assert {event.source for event in AuditEvent.objects.all()} == {"shell"}


@pytest.mark.parametrize("old", ["", "dashboard/", "dashboard/queues/1/failed/", "dashboard/stats.json/"])
def test_the_old_addresses_lead_to_it(administrator: Client, old: str) -> None:
    answer = administrator.get(f"/admin/django_rq/{old}")
    assert (answer.status_code, answer["Location"]) == (302, reverse("jobs"))


def test_of_an_action_on_messages_it_says_which(administrator: Client) -> None:
    intake.accept([a_submission()])
    job = act_on("delete", SpoolFilter(sender="ann@example.org"), ROOT, background=True).job
    [queued] = doorbell.maintenance_queue().get_jobs()
    fail("bulk", f"spool.tasks.run_bulk_job({job.pk})")
    assert queued.description == f"spool.tasks.run_bulk_job({job.pk})"
    assert "Delete, 0 of 1, by root@example.org" in page(administrator)
