"""What a pass takes up: room of its own for local mail, a share for low priority."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from django.utils import timezone

from spool.flow import intake
from spool.flow.lanes import LOCAL_LOOK_SECONDS, MOST_PARKED, Lanes, Want
from spool.flow.rounds import Rounds
from spool.message.envelope import DeliveryReport, LeasedEntry, RecipientResult
from spool.models import Direction, Entry, Kind, Origin, Outcome, Priority, Settings
from tests.support.messages import a_leased_entry, a_submission

_ids = count(1)
LOCAL = "ann@example.org"


def entry(tmp_path: Any, *, local: bool = False, priority: Priority = Priority.NORMAL) -> LeasedEntry:
    made = a_leased_entry(tmp_path)
    made.id, made.priority = next(_ids), priority
    made.direction = Direction.INBOUND if local else Direction.OUTBOUND
    return made


@pytest.fixture
def lanes() -> Lanes:
    """For one of two workers: 40 at once, 10 of them local; so 10 of low priority, 20 in the lane for local mail."""
    lanes = Lanes()
    lanes.configure(Settings(max_deliveries=80, max_local_deliveries=20), 2)
    return lanes


def test_a_pass_with_nothing_to_do_wants_as_much_of_all_as_there_is_room_for(lanes: Lanes) -> None:
    assert lanes.want(0) == Want(40, 10, 4, 20)


def test_local_mail_has_room_when_there_is_none_for_anything_else(lanes: Lanes, tmp_path: Any) -> None:
    lanes.take(entry(tmp_path) for _ in range(MOST_PARKED * 40))
    assert lanes.want(MOST_PARKED * 40) == Want(local=20)
    assert lanes.has_room(MOST_PARKED * 40) and not lanes.has_wide_room(MOST_PARKED * 40)
    lanes.take(entry(tmp_path, local=True) for _ in range(20))
    assert not lanes.want(MOST_PARKED * 40)


def test_those_that_wait_for_hosts_leave_their_room_to_others(lanes: Lanes, tmp_path: Any) -> None:
    lanes.take(entry(tmp_path) for _ in range(40))
    assert lanes.want(0).entries == 0
    assert lanes.want(40).entries == 40


def test_low_priority_has_a_share_however_much_of_it_waits(lanes: Lanes, tmp_path: Any) -> None:
    low = [entry(tmp_path, priority=Priority.LOW) for _ in range(10)]
    lanes.take(low)
    wanted = lanes.want(10)
    assert (wanted.entries, wanted.low, wanted.reserved) == (40, 0, 0)
    lanes.asked(wanted)
    lanes.answered(more=False, more_local=False, low_waits=True)
    assert not lanes.want(10), "nothing to look for until one of them has come to an end"
    lanes.drop(low[0].id)
    assert lanes.want(9).low == 1
    # Notices to users of this server are nothing that waits for others.
    lanes.take([entry(tmp_path, local=True, priority=Priority.LOW)])
    assert lanes.want(9).low == 1


def test_a_backlog_leaves_low_priority_its_turn_with_however_little_room(lanes: Lanes, tmp_path: Any) -> None:
    lanes.take(entry(tmp_path) for _ in range(39))
    turns = []
    for _ in range(30):
        lanes.look()
        wanted = lanes.want(0)
        lanes.asked(wanted)
        turns.append(wanted.reserved)
    assert sum(turns) == 3


def test_a_look_is_taken_once_and_again_when_there_was_more(lanes: Lanes) -> None:
    lanes.asked(lanes.want(0))
    assert not lanes.want(0)
    lanes.answered(more=False, more_local=True, low_waits=False)
    assert lanes.want(0) == Want(local=20)
    lanes.answered(more=True, more_local=False, low_waits=False)
    assert lanes.want(0).entries == 40


def test_a_backlog_is_not_slowed_by_looks_for_local_mail_that_is_not_there() -> None:
    now = [0.0]
    lanes = Lanes(lambda: now[0])
    lanes.configure(Settings(max_deliveries=80, max_local_deliveries=20), 2)
    lanes.asked(lanes.want(0))
    lanes.answered(more=True, more_local=False, low_waits=False, no_local=True)
    assert lanes.want(0).local == 0
    now[0] += LOCAL_LOOK_SECONDS
    assert lanes.want(0).local == 20


def test_what_waits_for_engines_leaves_its_room_too(lanes: Lanes, tmp_path: Any) -> None:
    staged = [entry(tmp_path, local=True) for _ in range(20)]
    lanes.take(staged)
    assert lanes.want(0).local == 0
    lanes.into_stages(staged)
    assert lanes.want(0).local == 20
    lanes.out_of_stages(staged)
    assert lanes.want(0).local == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis", "home")
class TestLeases:
    def accept(self, number: int, to: str = "bob@example.net", **fields: Any) -> None:
        kind = Kind.LOCAL if to == LOCAL else Kind.REMOTE
        intake.accept([a_submission(to=to, kind=kind) for _ in range(number)])
        if fields:
            newest = Entry.objects.order_by("-id").values_list("id", flat=True)[:number]
            Entry.objects.filter(id__in=list(newest)).update(**fields)

    def visit(self, want: Want) -> tuple[list[str], Any]:
        here = Rounds("worker", []).visit([], [], [], want)
        return [f"{Direction(one.direction).name} {Priority(one.priority).name}" for one in here.leased], here

    def test_local_mail_is_found_behind_any_backlog(self) -> None:
        self.accept(30)
        self.accept(2, to=LOCAL)
        found, here = self.visit(Want(10, 10, 0, local=5))
        assert sorted(found) == ["INBOUND NORMAL"] * 2 + ["OUTBOUND NORMAL"] * 10
        assert (here.more, here.more_local) == (True, False)

    def test_without_a_backlog_one_look_is_enough(self, django_assert_max_num_queries: Any) -> None:
        self.accept(2)
        self.accept(2, to=LOCAL)
        Rounds("warm", []).visit([], [], [], Want())
        with django_assert_max_num_queries(8) as queries:
            found, here = self.visit(Want(10, 10, 1, local=5))
        assert len(found) == 4 and not here.more
        assert sum("RETURNING" in query["sql"] for query in queries.captured_queries) <= 1

    def test_only_local_mail_is_taken_when_there_is_room_for_nothing_else(self) -> None:
        self.accept(3)
        self.accept(3, to=LOCAL)
        found, here = self.visit(Want(local=2))
        assert found == ["INBOUND NORMAL"] * 2 and here.more_local

    def test_low_priority_is_taken_up_to_its_share_and_does_not_wake_anybody(self) -> None:
        self.accept(5, priority=Priority.LOW)
        found, here = self.visit(Want(10, 2, 1))
        assert len(found) == 2 and here.low_waits and not here.more
        assert here.next_due is None or here.next_due > timezone.now(), "it is no reason to look again at once"
        self.accept(30)
        found, here = self.visit(Want(10, 1, 1))
        assert sorted(found) == ["OUTBOUND LOW", *["OUTBOUND NORMAL"] * 9]

    def test_a_notice_has_low_priority(self) -> None:
        self.accept(1)
        rounds = Rounds("worker", [])
        [one] = rounds.visit([], [], [], Want(10, low=10)).leased
        failed = [RecipientResult(one.recipients[0], Outcome.BOUNCED, "550 no", "5.1.1")]
        rounds.visit([DeliveryReport(one, failed)], [], [], Want())
        [notice] = Entry.objects.all()
        assert (notice.origin, notice.priority) == (Origin.DSN, Priority.LOW)
