"""The pages of the queues while a worker is at a long job: they show it, have no script errors, and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import time

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import ConsoleMessage, expect
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry

from accounts.models import Role, User
from base import redis_client
from spool.admin.jobs import CANNOT_STOP
from spool.flow import doorbell
from tests.console.browser.conftest import Console
from tests.support.daemon import Daemon
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker import maintenance_worker

pytestmark = pytest.mark.alike

HOME = "/admin/django_rq/dashboard/"


@pytest.fixture
def at_work(transactional_db: None, redis: RedisServer, tmp_path: Path) -> Iterator[Job]:
    """A job in the hands of a real worker, with others that wait, are scheduled, have failed and have finished."""
    queue = Queue("maintenance", connection=redis_client.redis())
    queue.enqueue("time.sleep", 0, job_id="finished", result_ttl=500)
    queue.enqueue("time.sleep", "no number", job_id="failed", failure_ttl=500)
    job = queue.enqueue("time.sleep", 600, job_id="at-work", job_timeout=-1, result_ttl=0)
    worker: Daemon = maintenance_worker(tmp_path / "worker.log")
    worker.start()
    try:
        wait_until(lambda: job.get_status() == JobStatus.STARTED, f"it is at work\n{worker.log_tail()}", 60)
        queue.enqueue("time.sleep", 1, job_id="waits")
        queue.enqueue_at(timezone.now() + timedelta(hours=1), "time.sleep", 1, job_id="scheduled")
        queue.enqueue("time.sleep", 1, job_id="deferred", depends_on=job)
        yield job
    finally:
        worker.kill()


def expire(redis: RedisServer) -> None:
    """What RQ would take for the sign of a lost job: its worker was asleep, or could not reach Redis."""
    with redis.client() as client:
        for execution in client.zrange("rq:wip:maintenance", 0, -1):
            client.zadd("rq:wip:maintenance", {execution: time() - 60})


def pages(redis: RedisServer) -> list[str]:
    """All of django-rq's, with something to show on each."""
    found = [HOME]
    for index in (0, 1):
        lists = ("", "details/", "finished/", "failed/", "scheduled/", "started/", "deferred/", "empty/")
        found += [f"{HOME}queues/{index}/{name}" for name in (*lists, "requeue-all/", "failed/clear/")]
        found.append(f"{HOME}workers/{index}/")
    index = _index()
    for job in ("at-work", "failed", "finished", "waits", "scheduled", "deferred"):
        found += [f"{HOME}queues/{index}/{job}/{name}" for name in ("", "delete/", "requeue/", "enqueue/")]
    with redis.client() as client:
        found += [f"{HOME}workers/{index}/{key.decode()}/" for key in client.smembers("rq:workers:maintenance")]
    return found


def test_every_page_shows_what_runs_and_changes_nothing(console: Console, at_work: Job, redis: RedisServer) -> None:
    def note(said: ConsoleMessage) -> None:
        if said.type == "error":
            console.misdeeds.append(f"{console.page.url}: {said.text}")

    console.page.on("console", note)
    expire(redis)
    for path in pages(redis):
        answer = console.page.goto(console.base + path)
        assert answer is not None
        assert answer.status == 200, path

    assert at_work.get_status() == JobStatus.STARTED
    queue = doorbell.maintenance_queue()
    assert FailedJobRegistry(queue=queue).get_job_ids(cleanup=False) == ["failed"]
    assert FinishedJobRegistry(queue=queue).get_job_ids(cleanup=False) == ["finished"]
    console.open(HOME)
    row = console.page.locator("tr", has_text="maintenance").first
    expect(row).to_contain_text("maintenance")
    with redis.client() as client:
        assert len(client.smembers("rq:workers:maintenance")) == 1


def test_all_jobs_of_a_list_are_chosen_at_once(console: Console, at_work: Job) -> None:
    page = console.open(f"{HOME}queues/{_index()}/failed/")
    page.locator("#action-toggle").check()
    expect(page.locator("tr input.action-select")).to_have_count(1)
    expect(page.locator("tr input.action-select")).to_be_checked()


def test_a_job_is_not_said_to_be_stopped(transactional_db: None, client: Client, at_work: Job) -> None:
    client.force_login(User.objects.create_user("root@example.org", "correct-horse", role=Role.SYSTEM_ADMINISTRATOR))
    for path, form in (
        (reverse("admin:django_rq_stop_job", args=[_index(), "at-work"]), {}),
        (reverse("admin:django_rq_actions", args=[_index()]), {"action": "stop", "job_ids": ["at-work"]}),
    ):
        answer = client.post(path, form, follow=True)
        assert [str(message) for message in answer.context["messages"]] == [CANNOT_STOP]
        assert at_work.get_status() == JobStatus.STARTED


def _index() -> int:
    """The maintenance queue's number: django-rq has them as the settings name them."""
    return 1
