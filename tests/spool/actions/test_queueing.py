"""Force, Reset Retries, Change Priority, Hold and Release: on entries that wait, are held, or are on the wire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Role
from spool import tasks
from spool.actions import Actor, NotAllowed, Refused, perform, preview
from spool.filters import SpoolFilter
from spool.message.envelope import LeasedEntry
from spool.models import AuditEvent, BulkJob, Entry, Priority, Settings, Status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

Spooled = Callable[..., Entry]
Take = Callable[..., list[LeasedEntry]]
LATER = timedelta(hours=2)


def waiting(spooled: Spooled, **columns: object) -> Entry:
    later = timezone.now() + LATER
    given = {"status": Status.WAITING, "attempts": 3, "dns_failures": 2, "next_attempt": later, "due_at": later}
    return spooled(**{**given, **columns})


def test_force_makes_an_entry_due_now_with_high_priority(admin: Actor, spooled: Spooled, take: Take) -> None:
    entry = waiting(spooled)
    assert not take()
    assert perform("force", [entry.id], admin).sentence == "1 forced"
    [leased] = take()
    assert leased.priority == Priority.HIGH
    assert leased.attempts == 3


def test_force_leaves_what_is_on_hold_on_hold(admin: Actor, spooled: Spooled, take: Take) -> None:
    entry = waiting(spooled, hold=True, due_at=None)
    perform("force", [entry.id], admin)
    assert not take()
    assert Entry.objects.get().priority == Priority.HIGH


def test_force_gives_an_entry_on_the_wire_its_priority_and_keeps_its_lease(
    admin: Actor, spooled: Spooled, take: Take
) -> None:
    entry = spooled()
    take("worker")
    assert perform("force", [entry.id], admin).sentence == "0 forced, 1 was being delivered"
    after = Entry.objects.get()
    assert (after.priority, after.leased_by) == (Priority.HIGH, "worker")
    assert not take("another")


def test_reset_starts_over_from_the_delivery_delay(admin: Actor, spooled: Spooled) -> None:
    row = Settings.load()
    row.delivery_delay_seconds = 30
    row.save()
    entry = waiting(spooled, failures=2, traceback="Traceback")
    now = timezone.now()
    assert perform("reset", [entry.id], admin).sentence == "1 started over"
    after = Entry.objects.get()
    assert (after.attempts, after.dns_failures, after.failures, after.traceback) == (0, 0, 0, "")
    assert after.status == Status.DELIVERY_DELAY
    assert after.due_at is not None
    assert timedelta(seconds=29) < after.due_at - now < timedelta(seconds=32)
    assert after.created == entry.created


def test_the_priority_of_an_entry_on_the_wire_can_be_changed(admin: Actor, spooled: Spooled, take: Take) -> None:
    entry = spooled()
    take()
    assert perform("priority", [entry.id], admin, priority="low").sentence == "1 given low priority"
    assert Entry.objects.get().priority == Priority.LOW
    with pytest.raises(Refused, match="low, normal or high"):
        perform("priority", [entry.id], admin, priority="urgent")


def test_a_held_entry_is_not_tried_until_it_is_released(admin: Actor, spooled: Spooled, take: Take) -> None:
    entry = spooled()
    assert perform("hold", [entry.id], admin, reason="Ask\nthe sender").sentence == "1 put on hold"
    assert not take(now=timezone.now() + timedelta(days=9))
    assert Entry.objects.get().hold_reason == "Ask the sender"
    assert perform("release", [entry.id], admin).sentence == "1 released"
    assert take()


def test_an_entry_on_the_wire_is_not_held(admin: Actor, spooled: Spooled, take: Take) -> None:
    entry = spooled()
    take()
    assert perform("hold", [entry.id], admin).sentence == "0 put on hold, 1 was being delivered"
    assert not Entry.objects.get().hold


def test_a_hold_ends_at_its_time_and_delivery_goes_on_as_planned(admin: Actor, spooled: Spooled) -> None:
    later = timezone.now() + timedelta(days=5)
    entry = waiting(spooled, next_attempt=later)
    perform("hold", [entry.id], admin, until="2h")
    tasks.sweep()
    assert Entry.objects.get().hold
    Entry.objects.update(hold_until=timezone.now() - timedelta(seconds=1))
    tasks.sweep()
    after = Entry.objects.get()
    assert (after.hold, after.hold_until, after.due_at) == (False, None, later)


@pytest.mark.parametrize("until", ["yesterday", "2020-01-01 10:00", "99"])
def test_an_end_of_hold_that_makes_no_sense_is_refused(admin: Actor, spooled: Spooled, until: str) -> None:
    entry = spooled()
    with pytest.raises(Refused):
        perform("hold", [entry.id], admin, until=until)
    assert not AuditEvent.objects.exists()


def test_release_counts_those_that_were_not_on_hold(admin: Actor, spooled: Spooled) -> None:
    entry = spooled()
    assert perform("release", [entry.id], admin).sentence == "0 released, 1 skipped (were not on hold)"


def test_an_entry_that_a_worker_has_finished_meanwhile_is_reported_as_gone(admin: Actor, spooled: Spooled) -> None:
    entry = spooled()
    Entry.objects.all().delete()
    assert perform("force", [entry.id], admin).sentence == "0 forced, 1 skipped (already gone)"


@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("force", {}),
        ("reset", {}),
        ("priority", {"priority": "high"}),
        ("hold", {}),
        ("release", {}),
        ("delete", {}),
        ("move", {}),
        ("redirect", {"next_hop": "mail.example.net"}),
        ("resend", {}),
    ],
)
def test_only_a_system_administrator_acts(
    spooled: Spooled, role: Role, action: str, parameters: dict[str, str]
) -> None:
    entry = spooled()
    actor = Actor("ann@example.org", role, "example.org")
    for do in (perform, preview):
        with pytest.raises(NotAllowed):
            do(action, [entry.id], actor, **parameters)
    assert not BulkJob.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_domain_administrator_sees_mail_from_the_own_domain_and_searches_it_by_sender() -> None:
    actor = Actor("ann@example.org", Role.DOMAIN_ADMINISTRATOR, "example.org")
    assert actor.view(SpoolFilter(sender="eve@example.net")).only_sender_domain == "example.org"
    with pytest.raises(NotAllowed, match="by sender, not by recipient"):
        actor.view(SpoolFilter(recipient="bob@example.net"))
    with pytest.raises(NotAllowed):
        Actor("bob@example.org", Role.USER, "example.org").view(SpoolFilter())
