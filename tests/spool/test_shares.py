"""Nobody's burst delays others: whose turn it is, and in which order workers take what is more than a share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from spool.flow import intake, leases, shares
from spool.flow.lanes import Want
from spool.flow.rounds import Rounds
from spool.flow.shares import SHARE_AT_ONCE, SHARE_PER_SECOND, Shares, sender_of
from spool.message.envelope import Envelope, LeasedEntry, Submission
from spool.models import Entry, Kind, Priority, Settings, Status, Trace
from spool.rows import changes, contents, lease, statements
from tests.spool.passing import FAR, Spool
from tests.support.messages import a_recipient, a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home", "anew")]
ANN, BOB, CLEO = (f"{name}@here.test" for name in ("ann", "bob", "cleo"))
# Two batches of that are more than a share.
MANY = SHARE_AT_ONCE + 1


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just begun."""
    monkeypatch.setattr(intake, "_shares", Shares(intake._early_turns, lease.is_any_early))


def clocks() -> Shares:
    return Shares(dict, lambda: True)


def at_second(seconds: float) -> datetime:
    return datetime(2026, 3, 2, 12, 0, tzinfo=UTC) + timedelta(seconds=seconds)


def an_envelope(user: str = ANN, recipients: int = 1, priority: Priority = Priority.NORMAL) -> Envelope:
    to = [a_recipient("someone@example.net")] * recipients
    return Envelope(user, to, auth_user=user, priority=priority)


def waits(clock: Shares, count: int, at: float = 0.0, **about: object) -> list[float]:
    clock.look(at_second(at))
    return [clock.wait(an_envelope(**about), "here.test", at_second(at)) for _ in range(count)]  # type: ignore[arg-type]


def mail_of(
    user: str, count: int, *, kind: Kind = Kind.REMOTE, priority: Priority = Priority.NORMAL
) -> list[Submission]:
    to = "bob@here.test" if kind is Kind.LOCAL else f"someone@{FAR}"
    made = [a_submission(user, to, kind, subject=f"{user} {number}", priority=priority) for number in range(count)]
    for one in made:
        one.envelope.auth_user = user
    return made


def a_burst(user: str = ANN, count: int = 40, **about: object) -> None:
    """So many messages that are more than the share, and the share before them."""
    intake.accept(mail_of(user, MANY + count, **about))  # type: ignore[arg-type]


def take(limit: int = 1000, *, early: bool = True, low: int | None = None, **more: bool) -> list[LeasedEntry]:
    with statements.write_transaction():
        return leases.take("one", timezone.now(), limit, straight=True, no_delay=True, early=early, low=low, **more)


def senders(entries: Sequence[LeasedEntry]) -> list[str]:
    return [entry.auth_user for entry in entries]


def test_what_is_within_a_share_has_its_turn_at_once() -> None:
    clock = clocks()
    assert waits(clock, MANY) == [0.0] * MANY
    assert waits(clock, 1) > [0.0]
    assert waits(clock, 1, user=BOB) == [0.0]


def test_a_share_comes_back_with_time() -> None:
    clock = clocks()
    waits(clock, 2 * SHARE_AT_ONCE)
    assert waits(clock, 1, at=1.0)[0] == pytest.approx(2 * SHARE_AT_ONCE / SHARE_PER_SECOND - 1, abs=0.01)
    assert waits(clock, 3, at=10.0) == [0.0] * 3


def test_turns_follow_each_other_by_recipients() -> None:
    clock = clocks()
    waits(clock, 1, recipients=1000)
    first, second = waits(clock, 2, recipients=5)
    assert first == pytest.approx(1000 / SHARE_PER_SECOND, abs=0.01)
    assert second - first == pytest.approx(5 / SHARE_PER_SECOND, abs=0.01)


def test_high_priority_does_not_stand_behind_the_rest_of_its_sender_and_has_more() -> None:
    clock = clocks()
    waits(clock, 1000)
    assert waits(clock, 1, priority=Priority.HIGH) == [0.0]
    ahead = waits(clock, 1000, priority=Priority.HIGH)[-1]
    assert ahead == pytest.approx(1000 / SHARE_PER_SECOND / shares.WEIGHT_OF_HIGH, abs=0.01)


def test_low_priority_has_a_room_and_no_share() -> None:
    assert set(waits(clocks(), 1000, priority=Priority.LOW)) == {0.0}


def test_nobodys_turn_is_further_than_a_day() -> None:
    clock = clocks()
    waits(clock, 1, recipients=10_000_000)
    assert waits(clock, 2) == pytest.approx([shares.LONGEST_SECONDS] * 2, abs=0.01)


def test_a_clock_that_was_set_back_makes_nobody_wait_for_the_time_before() -> None:
    clock = clocks()
    waits(clock, 1000, at=30 * 24 * 3600.0)
    assert waits(clock, 1, at=0.0) == [0.0]


def test_once_nothing_is_early_all_begin_anew() -> None:
    seconds, early = [0.0], [True]
    clock = Shares(dict, lambda: early[0], lambda: seconds[0])
    waits(clock, 1000)
    clock.look(at_second(0))
    assert waits(clock, 1) > [0.0]
    early[0] = False
    clock.look(at_second(0))
    assert waits(clock, 1) > [0.0], "it is looked once a second"
    seconds[0] += shares.LOOK_SECONDS
    clock.look(at_second(0))
    assert waits(clock, 1) == [0.0]


def test_senders_without_end_are_not_all_remembered() -> None:
    clock = clocks()
    for number in range(3 * shares.MOST_SENDERS):
        clock.look(at_second(number))
        clock.wait(an_envelope(f"{number}@here.test"), "here.test", at_second(number))
    assert len(clock._turns) <= shares.MOST_SENDERS


@pytest.mark.parametrize(
    ("user", "ours", "domain", "ip", "sender"),
    [
        (ANN, True, "here.test", "192.0.2.1", ANN),
        ("", True, "here.test", "192.0.2.1", "@here.test"),
        ("", None, "here.test", "", "@here.test"),
        ("", False, "here.test", "192.0.2.1", "192.0.2.1"),
        ("", False, "here.test", "2001:db8::5", "2001:db8::/64"),
        ("", True, "", "192.0.2.1", "192.0.2.1"),
        ("", None, "", "", ""),
    ],
)
def test_a_share_is_a_users_else_a_domains_of_ours_else_an_addresss(
    user: str, ours: bool | None, domain: str, ip: str, sender: str
) -> None:
    assert sender_of(user, ours, domain, ip) == sender


def test_others_go_before_a_burst() -> None:
    a_burst()
    intake.accept(mail_of(BOB, 3))
    assert senders(take(MANY + 3)) == [ANN] * MANY + [BOB] * 3
    assert senders(take()) == [ANN] * 40


def test_what_is_early_is_taken_only_where_it_is_looked_for_and_only_once() -> None:
    a_burst()
    assert len(take(early=False)) == MANY
    assert len(take()) == 40
    assert not take()
    assert not Entry.objects.filter(turn_at__isnull=False).exists()


def test_bursts_go_alike() -> None:
    intake.accept([*mail_of(ANN, MANY + 40), *mail_of(BOB, MANY + 40)])
    take(2 * MANY, early=False)
    taken = senders(take(40))
    assert abs(taken.count(ANN) - taken.count(BOB)) <= 2


def test_what_has_waited_for_its_turn_is_due_as_all_else() -> None:
    a_burst()
    take(early=False)
    first = Entry.objects.filter(turn_at__isnull=False).order_by("turn_at").first()
    assert first is not None
    past = timezone.now() - timedelta(seconds=9)
    Entry.objects.filter(id=first.id).update(due_at=past, turn_at=past)
    assert [entry.id for entry in take(early=False)] == [first.id]


def test_high_priority_goes_first_within_a_burst() -> None:
    intake.accept([*mail_of(ANN, MANY + 40), *mail_of(ANN, 300, priority=Priority.HIGH)])
    assert take(1)[0].priority == Priority.HIGH
    take(early=False)
    # What is left of both: High has four times as much as the rest.
    assert [entry.priority for entry in take(50)].count(Priority.HIGH) == pytest.approx(40, abs=5)


def test_mail_for_this_server_alone_is_found_behind_a_burst_for_elsewhere() -> None:
    a_burst(ANN, 40)
    a_burst(BOB, 5, kind=Kind.LOCAL)
    take(early=False)
    assert senders(take(only_local=True)) == [BOB] * 5


def test_low_priority_goes_before_a_burst_and_takes_no_more_than_its_room() -> None:
    a_burst()
    intake.accept(mail_of(BOB, 9, priority=Priority.LOW))
    take(MANY, early=False)
    taken = senders(take(20, low=4))
    assert taken.count(BOB) == 4
    assert taken.count(ANN) == 16


def test_a_delivery_delay_is_kept_by_what_is_early() -> None:
    row = Settings.load()
    row.delivery_delay_seconds = 60
    row.save()
    a_burst()
    assert not take()
    later = timezone.now() + timedelta(seconds=61)
    with time_machine.travel(later, tick=True):
        assert len(take()) == MANY
        leases.let_go_early(timezone.now(), delayed=True)
        assert len(take()) == 40


def test_what_is_scheduled_does_not_delay_others_when_its_time_has_come() -> None:
    mail = mail_of(ANN, MANY + 40)
    release = timezone.now() + timedelta(hours=3)
    for one in mail:
        one.envelope.release = release
    intake.accept(mail)
    assert not take()
    with time_machine.travel(release + timedelta(seconds=1), tick=True):
        leases.let_go_early(timezone.now(), delayed=False)
        intake.accept(mail_of(BOB, 3))
        assert senders(take(MANY + 3)) == [ANN] * MANY + [BOB] * 3
        assert senders(take()) == [ANN] * 40


def test_what_is_scheduled_takes_no_share_of_what_leaves_now() -> None:
    clock = clocks()
    clock.look(at_second(0))
    later = at_second(7200)
    assert [clock.wait(an_envelope(), "here.test", later) for _ in range(2 * MANY)][-1] > 0
    assert waits(clock, MANY) == [0.0] * MANY


def test_a_process_that_begins_learns_how_far_the_senders_are(monkeypatch: pytest.MonkeyPatch) -> None:
    a_burst(ANN, 40)
    last = Entry.objects.filter(turn_at__isnull=False).latest("turn_at").turn_at
    assert last is not None
    monkeypatch.setattr(intake, "_shares", Shares(intake._early_turns, lease.is_any_early))
    a_burst(ANN, 1)
    assert Entry.objects.latest("id").turn_at >= last  # type: ignore[operator]


def test_rounds_look_for_what_is_early_while_there_is_any() -> None:
    a_burst()
    rounds = Rounds("one", [])
    rounds._early = False
    assert len(rounds.visit([], [], [], Want(MANY + 10, 10)).leased) == MANY
    assert len(rounds.visit([], [], [], Want(100, 10)).leased) == 40
    assert not rounds._early


def test_a_burst_that_rests_for_a_moment_needs_no_files() -> None:
    a_burst()
    now = timezone.now()
    assert not contents.resting(now + timedelta(milliseconds=1), now - timedelta(hours=1), 1000)


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.LOW])
def test_another_priority_gives_it_its_turn(priority: Priority) -> None:
    a_burst()
    take(early=False)
    ids = list(Entry.objects.filter(turn_at__isnull=False).values_list("id", flat=True)[:3])
    with statements.write_transaction():
        changes.set_priority(ids, priority)
    assert {entry.id for entry in take(early=False)} == set(ids)


def test_force_gives_it_its_turn() -> None:
    a_burst()
    take(early=False)
    ids = list(Entry.objects.filter(turn_at__isnull=False).values_list("id", flat=True)[:3])
    with statements.write_transaction():
        changes.force(ids, timezone.now())
    assert {entry.id for entry in take(early=False)} == set(ids)


def test_a_hold_ends_as_any_other() -> None:
    a_burst()
    take(early=False)
    held = Entry.objects.filter(turn_at__isnull=False).latest("turn_at")
    with statements.write_transaction():
        changes.hold([held.id], "Wait", None)
    assert held.id not in {entry.id for entry in take()}
    with statements.write_transaction():
        changes.release([held.id], timezone.now())
    assert [entry.id for entry in take(early=False)] == [held.id]


def test_what_a_worker_of_the_version_before_has_is_left_to_it() -> None:
    """It does not know `turn_at`, and so neither takes it away when it takes an entry nor when it puts it back."""
    a_burst(ANN, 2)
    take(early=False)
    [one, other] = Entry.objects.filter(turn_at__isnull=False)
    later = timezone.now() + timedelta(minutes=5)
    Entry.objects.filter(id=one.id).update(leased_by="before", due_at=timezone.now() + timedelta(seconds=20))
    Entry.objects.filter(id=other.id).update(status=Status.WAITING, next_attempt=later, due_at=later, attempts=1)
    assert not take()


def test_a_clock_that_was_ahead_leaves_no_turns_behind() -> None:
    a_burst()
    take(early=False)
    ahead = timezone.now() + timedelta(days=400)
    Entry.objects.filter(turn_at__isnull=False).update(turn_at=ahead, due_at=ahead, next_attempt=ahead)
    assert not take()
    leases.mend(timezone.now(), timedelta(days=5))
    assert len(take(early=False)) == 40


def test_a_flood_of_one_user_is_delivered_behind_the_few_messages_of_others(spool: Spool) -> None:
    spool.settings(max_deliveries=20)
    intake.accept(mail_of(ANN, 400))
    intake.accept(mail_of(BOB, 3))
    spool.work()
    order = list(Trace.objects.order_by("pk").values_list("auth_user", flat=True))
    assert len(order) == 403
    assert max(place for place, user in enumerate(order) if user == BOB) < MANY + 3 * 20
