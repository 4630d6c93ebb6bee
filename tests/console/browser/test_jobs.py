"""The page of jobs while a worker is at a long job: it shows it, can be used by thumb, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import time

import pytest
from django.utils import timezone
from playwright.sync_api import ConsoleMessage, expect
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry

from base import redis_client
from spool.flow import doorbell
from spool.models.machine import Program
from spool.monitoring.names import JOB
from tests.console.browser.conftest import Console
from tests.console.browser.themes import THEMES
from tests.support.daemon import Daemon
from tests.support.failed_jobs import fail_many, failed_ids
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker import maintenance_worker

pytestmark = pytest.mark.alike

HOME = "/admin/jobs/"


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


def test_every_page_shows_what_runs_and_changes_nothing(console: Console, at_work: Job, redis: RedisServer) -> None:
    def note(said: ConsoleMessage) -> None:
        if said.type == "error":
            console.misdeeds.append(f"{console.page.url}: {said.text}")

    def says_what_it_does() -> bool:
        return any(shows.get(JOB) == "at-work" for shows in Program.objects.values_list("shows", flat=True))

    console.page.on("console", note)
    wait_until(says_what_it_does, "the worker's own sign of life tells of the job", 60)
    with redis.client() as client:
        # A busy worker's record in RQ may lapse.
        for key in client.smembers("rq:workers:maintenance"):
            client.delete(key)
    expire(redis)
    for path in (HOME, *(f"{HOME}job/{job}/" for job in ("at-work", "failed", "finished", "waits", "scheduled"))):
        answer = console.page.goto(console.base + path)
        assert answer is not None
        assert answer.status == 200, path

    assert at_work.get_status() == JobStatus.STARTED
    queue = doorbell.maintenance_queue()
    assert FailedJobRegistry(queue=queue).get_job_ids(cleanup=False) == ["failed"]
    page = console.open(HOME)
    workers = page.locator("section", has=page.get_by_role("heading", name="Workers"))
    expect(workers.locator("tbody tr")).to_have_count(1)
    expect(workers).to_contain_text("time.sleep")
    expect(page.locator("#failed-jobs")).to_contain_text("TypeError")
    with redis.client() as client:
        assert len(client.smembers("rq:workers:maintenance")) == 1


def test_a_failed_job_is_retried_by_its_menu_and_the_lists_follow(console: Console) -> None:
    fail_many(["one", "two"])
    page = console.open(HOME)
    page.get_by_role("button", name="Actions on Housekeeping one").click()
    page.locator("#row-menu").get_by_role("menuitem", name="Retry", exact=True).click()
    page.locator("#confirm").get_by_role("button", name="Retry").click()
    expect(page.locator("#results")).to_contain_text("1 job queued again.")
    expect(page.locator("#failed-jobs tbody tr")).to_have_count(1)
    expect(page.locator("#live")).to_contain_text("Housekeeping")
    assert failed_ids() == {"two"}


def test_all_jobs_of_a_page_are_chosen_at_once_and_forgetting_asks(console: Console) -> None:
    fail_many(["one", "two", "three"])
    page = console.open(HOME)
    page.locator("#jobs-all").check()
    expect(page.locator("input[name=job]:checked")).to_have_count(3)
    page.get_by_role("button", name="Forget selected").click()
    expect(page.locator("#content")).to_contain_text("This can't be undone.")
    page.get_by_role("button", name="Forget 3 jobs").click()
    expect(page.locator("body")).to_contain_text("3 jobs forgotten.")
    expect(page.locator("#failed-jobs")).to_contain_text("None.")
    assert failed_ids() == set()


@pytest.mark.parametrize("theme", THEMES)
def test_it_is_whole_on_a_phone(console: Console, theme: str) -> None:
    fail_many([f"{'long-' * 12}{number}" for number in range(3)], "spool.tasks." + "quite_a_long_name_" * 8)
    console.wear(theme)
    assert console.problems(HOME) == []
    page = console.page
    page.set_viewport_size({"width": 390, "height": 844})
    card = page.locator("#failed-jobs tbody tr").first.bounding_box()
    assert card is not None and card["height"] < 320
    for button in page.locator("#failed-jobs").get_by_role("button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44 and box["x"] >= 0 and box["x"] + box["width"] <= 390, button.inner_text()
