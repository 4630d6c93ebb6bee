"""Mail that its sender has scheduled: it rests until then, and its age counts from then on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from spool.actions import Actor, perform, undo
from spool.console.message import explained
from spool.events.acceptance import acceptance
from spool.flow import intake, leases
from spool.message.envelope import Submission
from spool.models import Entry, Status, Trace
from spool.transfer import envelopes
from tests.spool.passing import ANN, FAR, Spool
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
TO = f"someone@{FAR}"
SHELL = Actor.at_the_shell()


def scheduled(hours: float = 24, **about: Any) -> Submission:
    submission = a_submission(ANN, TO, **about)
    submission.envelope.auth_user = ANN
    submission.envelope.release = timezone.now() + timedelta(hours=hours)
    return submission


def schedule(hours: float = 24) -> Entry:
    [name] = intake.accept([scheduled(hours)])
    return Entry.objects.get(file_name=name)


def test_it_leaves_at_its_time_and_not_before(spool: Spool) -> None:
    entry = schedule()
    assert (entry.status, entry.due_at) == (Status.SCHEDULED, entry.release_at)
    spool.work()
    assert Entry.objects.get().status == Status.SCHEDULED
    spool.later(hours=23, minutes=59)
    spool.work()
    assert Entry.objects.get().attempts == 0
    spool.later(minutes=2)
    spool.work()
    assert Trace.objects.get().outcome == "delivered"
    assert not Entry.objects.exists()


def test_its_lifetime_counts_from_its_time(spool: Spool) -> None:
    spool.settings(expire_after_hours=5, retry_intervals_minutes="60", delay_notice_hours=2)
    spool.peer.rcpt[TO] = "451 4.3.0 Not now"
    schedule(hours=24)
    spool.later(hours=24, seconds=1)
    spool.work()
    entry = Entry.objects.get(sender=ANN)
    assert (entry.status, entry.attempts, entry.delay_notified) == (Status.WAITING, 1, False)
    assert entry.next_attempt is not None and entry.next_attempt > timezone.now() + timedelta(minutes=50)
    for _ in range(3):
        spool.later(hours=1)
        spool.work()
    assert Entry.objects.get(sender=ANN).delay_notified
    for _ in range(3):
        spool.later(hours=1)
        spool.work()
    assert Trace.objects.filter(recipient=TO).latest("pk").outcome == "expired"


def test_the_notice_says_when_it_was_to_leave(spool: Spool) -> None:
    spool.peer.rcpt[TO] = "550 5.1.1 Nobody of that name"
    entry = schedule(hours=1)
    assert entry.release_at is not None
    spool.later(hours=1, seconds=1)
    spool.work()
    [notice] = spool.mailbox()
    assert f"Future-Release-Request: until; {entry.release_at:%Y-%m-%dT%H:%M:%SZ}" in notice.as_string()


def test_the_popup_and_the_log_say_so() -> None:
    entry = schedule(hours=48)
    why = explained(entry, [], file_exists=True)
    assert "scheduled it for" in why.sentence
    assert "Force" in why.advice
    mail = scheduled()
    assert mail.envelope.release is not None
    assert f"release={mail.envelope.release.isoformat(timespec='seconds')}" in str(acceptance(mail, "1.eml"))


@pytest.mark.parametrize("verb", ["force", "reset"])
def test_force_and_reset_have_it_leave_now(spool: Spool, verb: str) -> None:
    entry = schedule()
    perform(verb, [entry.pk], SHELL, background=False)
    row = Entry.objects.get()
    assert row.release_at is not None and row.release_at <= timezone.now()
    spool.work()
    assert Trace.objects.get().outcome == "delivered"


def test_redirected_it_keeps_its_time() -> None:
    entry = schedule()
    perform("redirect", [entry.pk], SHELL, to="other@elsewhere.test", background=False)
    row = Entry.objects.get()
    assert (row.status, row.due_at) == (Status.SCHEDULED, entry.due_at)


def test_held_and_released_it_keeps_its_time() -> None:
    entry = schedule()
    perform("hold", [entry.pk], SHELL, background=False)
    assert Entry.objects.get().due_at is None
    perform("release", [entry.pk], SHELL, background=False)
    row = Entry.objects.get()
    assert (row.status, row.due_at) == (Status.SCHEDULED, entry.due_at)


def test_deleted_and_put_back_it_keeps_its_time() -> None:
    entry = schedule()
    event = perform("delete", [entry.pk], SHELL, background=False).event
    assert not Entry.objects.exists()
    undo(SHELL, event_id=event.pk, background=False)
    row = Entry.objects.get()
    assert (row.status, row.due_at, row.release_at) == (Status.SCHEDULED, entry.due_at, entry.release_at)


def test_exported_and_imported_it_keeps_its_time() -> None:
    entry = schedule()
    columns = {**vars(entry), "created": entry.created.isoformat()}
    assert envelopes.read(envelopes.written(columns, [], {})).release == entry.release_at


def test_a_clock_that_is_set_back_does_not_have_it_leave() -> None:
    entry = schedule(hours=24 * 20)
    leases.mend(timezone.now(), timedelta(hours=2))
    assert Entry.objects.get().due_at == entry.due_at
