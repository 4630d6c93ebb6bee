"""What happens to a message as time goes by: attempts, notices, giving up, and stopping in the middle."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest

from tests.interop.world import ANN, DEAD_DOMAIN, LONG, SINK_DOMAIN, Report, World
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.waiting import wait_until


def _make_older(mailspool: MailspoolUnderTest, test_id: str, hours: int) -> None:
    """Have the message be in the spool for longer than it was, and due now."""
    mailspool.run(
        "from datetime import timedelta; from django.utils.timezone import now; from spool.models import Entry;"
        f" Entry.objects.filter(subject='Test {test_id}')"
        f".update(created=now() - timedelta(hours={hours}), due_at=now(), next_attempt=now())"
    )


@pytest.mark.long
def test_attempts_are_made_at_the_intervals_of_the_schedule(world: World, mailspool: MailspoolUnderTest) -> None:
    mailspool.settings(retry_intervals_minutes="0.05, 0.1")
    try:
        test_id = world.send(ANN, f"451.dan@{SINK_DOMAIN}")
        world.wait_until_waiting(test_id, attempts=4)
    finally:
        mailspool.settings(retry_intervals_minutes="15, 30, 60, 90")
    rows = mailspool.rows(
        "SELECT a.at FROM spool_attempt a JOIN spool_entry e ON e.file_name = a.file_name"
        f" WHERE e.subject = 'Test {test_id}' ORDER BY a.at"
    )
    moments = [at if isinstance(at, datetime) else datetime.fromisoformat(at) for (at,) in rows]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    assert len(gaps) >= 3
    for gap, interval in zip(gaps, (3, 6, 6), strict=False):
        # Never early.
        assert gap >= interval - 0.2, gaps
    # Late by no more than a sweep, unless the machine was busy with other things.
    assert min(gap - interval for gap, interval in zip(gaps, (3, 6, 6), strict=False)) <= 3, gaps


def test_a_late_message_is_announced_once(world: World, mailspool: MailspoolUnderTest) -> None:
    test_id = world.send(ANN, f"451.dan@{SINK_DOMAIN}")
    world.wait_until_waiting(test_id)
    _make_older(mailspool, test_id, hours=5)
    report = Report.of(world.wait_for_mail(ANN, test_id))
    assert report.action == "delayed"
    assert report.status.startswith("4.")
    world.wait_until_waiting(test_id, attempts=2)
    _make_older(mailspool, test_id, hours=6)
    world.wait_until_waiting(test_id, attempts=3)
    assert len(world.in_maildir(ANN, test_id)) == 1


def test_a_message_that_has_outlived_its_time_comes_back(world: World, mailspool: MailspoolUnderTest) -> None:
    test_id = world.send(ANN, f"dan@{DEAD_DOMAIN}")
    world.wait_until_waiting(test_id)
    _make_older(mailspool, test_id, hours=97)
    report = Report.of(world.wait_for_mail(ANN, test_id))
    assert report.action == "failed"
    assert report.status in ("4.4.7", "5.4.7")
    mailspool.wait_until_empty(LONG)
    outcomes = mailspool.rows(f"SELECT outcome FROM spool_trace WHERE subject = 'Test {test_id}'")
    assert outcomes == [("expired",)]


def test_every_process_ends_cleanly_on_sigterm_and_mail_goes_on_afterwards(
    world: World, mailspool: MailspoolUnderTest
) -> None:
    test_ids = [world.send(ANN, f"dan@{SINK_DOMAIN}") for _ in range(30)]
    statuses = mailspool.stop()
    try:
        assert set(statuses.values()) == {0}, statuses
        assert mailspool.rows("SELECT count(*) FROM spool_entry WHERE leased_by <> ''") == [(0,)]
    finally:
        mailspool.start()
    wait_until(lambda: mailspool.is_empty, "what was left is delivered after the restart", LONG)
    assert [len(world.receipts(test_id)) for test_id in test_ids] == [1] * 30
