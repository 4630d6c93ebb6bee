"""What administrators do to the sites that mail goes to, where it is about the messages that wait for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from base.actions.action import Refused, Target
from base.actions.perform import perform
from spool.actions import Actor, jobs, retry_waiting
from spool.actions import destinations as actions_of_destinations
from spool.actions.destinations import RETRY, SLOW, SUSPEND, destination_named
from spool.delivery.shaping import domains
from spool.delivery.shaping.limits import Key
from spool.models import AuditEvent, BulkJob, Destination, Entry, JobState
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home", "redis")]
SITE = Key("mx.far.test")
ACTOR = Actor.at_the_shell()


def _target(*names: str) -> Target:
    found = [one for name in names if (one := destination_named(name)) is not None]
    return Target("destination", tuple(one.key for one in found), tuple(row for one in found for row in one.rows))


def _waiting(count: int, domain: str) -> list[Entry]:
    entries = take_in(*(a_submission(to=[f"bob@{domain}"]) for _ in range(count)))
    attempt(entries, host=f"mx.{domain}")
    return entries


def _seconds_to_go() -> list[int]:
    now = timezone.now()
    dues = Entry.objects.order_by("pk").values_list("due_at", flat=True)
    return [round((due - now).total_seconds()) for due in dues if due is not None]


def test_what_waits_is_tried_again_at_the_pace_of_its_site_and_nothing_else_is(
    django_assert_max_num_queries: Any,
) -> None:
    domains.remember([("far.test", SITE), ("also.test", SITE), ("other.test", Key("mx.other.test"))], timezone.now())
    first = _waiting(4, "far.test")
    second = _waiting(3, "also.test")
    (other,) = _waiting(1, "other.test")
    (held,) = _waiting(1, "far.test")
    Entry.objects.filter(pk=held.pk).update(hold=True, due_at=None)
    usual = Entry.objects.get(pk=other.pk).due_at
    # Two each half minute.
    perform(SLOW, ACTOR, _target("mx.far.test"), {"rate": "4"})
    with django_assert_max_num_queries(40):
        done = perform(RETRY, ACTOR, _target("mx.far.test"))
    assert "7 messages are tried again" in done.sentence
    *due, _ = _seconds_to_go()
    assert [round(seconds / 30) for seconds in due] == [0, 0, 1, 1, 2, 2, 3]
    assert Entry.objects.get(pk=other.pk).due_at == usual
    assert (
        list(Entry.objects.filter(pk__in=[one.pk for one in first + second]).values_list("attempts", flat=True))
        == [1] * 7
    )
    assert AuditEvent.objects.get(action="destination-retry").outcome == "7 messages were tried again"
    # What is tried sooner stays so.
    perform(SLOW, ACTOR, _target("mx.far.test"), {"rate": "1"})
    perform(RETRY, ACTOR, _target("mx.far.test"))
    assert max(_seconds_to_go()[:7]) <= 91


def test_several_sites_are_slowed_at_once_and_each_has_its_record() -> None:
    done = perform(SLOW, ACTOR, _target("mx.one.test", "mx.two.test"), {"rate": "30"})
    assert done.sentence == "2 of 2 destinations: the limits are set." and done.undo is None
    assert set(Destination.objects.values_list("site", "rate_by_hand")) == {("mx.one.test", 30), ("mx.two.test", 30)}
    assert set(AuditEvent.objects.values_list("key", flat=True)) == {"mx.one.test", "mx.two.test"}
    # What is left empty stays as it is.
    perform(SLOW, ACTOR, _target("mx.one.test"), {"connections": "2"})
    row = Destination.objects.get(site="mx.one.test")
    assert (row.rate_by_hand, row.connections_by_hand) == (30, 2)
    with pytest.raises(Refused):
        perform(SLOW, ACTOR, _target("mx.one.test"), {"note": "why"})


def test_a_suspended_site_is_resumed_first() -> None:
    domains.remember([("far.test", SITE)], timezone.now())
    _waiting(1, "far.test")
    perform(SUSPEND, ACTOR, _target("mx.far.test"))
    before = _seconds_to_go()
    with pytest.raises(Refused, match="resume it first"):
        perform(RETRY, ACTOR, _target("mx.far.test"))
    assert [abs(one - other) <= 5 for one, other in zip(before, _seconds_to_go(), strict=True)] == [True]
    assert timedelta(minutes=55) < Destination.objects.get().suspended_until - timezone.now()  # type: ignore[operator]


def test_much_that_waits_is_left_to_a_job_that_goes_on_where_another_was_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For a provider with more domains than one question has, too."""
    monkeypatch.setattr(actions_of_destinations, "SMALL", 5)
    monkeypatch.setattr(retry_waiting, "_LOOK", 4)
    monkeypatch.setattr(domains, "MOST_DOMAINS", 2)
    domains.remember([(f"d{number}.test", SITE) for number in range(3)], timezone.now())
    domains.remember([("other.test", Key("mx.other.test"))], timezone.now())
    for number in range(3):
        _waiting(4, f"d{number}.test")
    (other,) = _waiting(1, "other.test")
    usual = Entry.objects.get(pk=other.pk).due_at
    # Two each half minute.
    perform(SLOW, ACTOR, _target("mx.far.test"), {"rate": "4"})
    done = perform(RETRY, ACTOR, _target("mx.far.test"))
    job = BulkJob.objects.get()
    assert f"in the background (job {job.pk})" in done.sentence
    # Once is enough.
    perform(RETRY, ACTOR, _target("mx.far.test"))
    assert BulkJob.objects.count() == AuditEvent.objects.filter(action="destination-retry").count() == 1

    class Killed(BaseException):
        pass

    def killed(_: BulkJob) -> None:
        raise Killed

    with pytest.raises(Killed):
        jobs.work(job.pk, progress=killed)
    BulkJob.objects.update(leased_by="", lease_until=None)
    assert 0 < BulkJob.objects.get().done < 12
    jobs.work(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done, job.skipped) == (JobState.DONE, 12, 0)
    *due, _ = _seconds_to_go()
    assert [round(seconds / 30) for seconds in due] == [number // 2 for number in range(12)]
    assert Entry.objects.get(pk=other.pk).due_at == usual
    assert AuditEvent.objects.get(action="destination-retry").outcome == "12 tried again"
