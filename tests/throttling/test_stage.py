"""Mail beyond a limit waits, goes by itself and in order, and stops nobody else: real passes, peer and counters."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import actions as accounts_actions
from accounts import directory, directory_cache
from accounts.models import Metric, User
from base import redis_client
from spool.flow import intake, leases, passes, rounds
from spool.message.envelope import DeliveryReport, LeasedEntry
from spool.models import Attempt, Entry, ReceivedBounce, Status
from spool.models.recipient import Kind
from spool.rows import statements
from spool.stages import WaitUntil
from tests.support.messages import a_recipient, a_submission
from tests.support.waiting import wait_until
from tests.throttling.conftest import ANN, FAR, HERE, Throttled
from throttling import stages, tasks
from throttling.counting import allowance, ledger, windows
from throttling.counting.state import Window
from throttling.holding import releases
from throttling.holding.decisions import Decisions, decide
from throttling.models import HeldEntry, Passage, ThrottleEvent, ThrottleSettings
from throttling.subjects import Subject, SubjectKind

BEN = f"ben@{HERE}"
BOB = f"bob@{FAR}"


def subjects(*numbers: int) -> list[str]:
    return [f"Number {number}" for number in numbers]


def no_notices(throttled: Throttled) -> None:
    settings = ThrottleSettings.load()
    settings.notify_users = settings.notify_administrators = False
    settings.save()
    throttled.forget()


@pytest.fixture
def ben(throttled: Throttled) -> str:
    user = User(email=BEN, domain=accounts_actions.get_domain(HERE))
    user.set_unusable_password()
    user.save()
    return BEN


class TestDelay:
    def test_exactly_the_limit_goes_and_the_rest_waits_with_a_reason_and_a_time(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=3)
        throttled.send(5)
        throttled.spool.work()
        assert sorted(throttled.delivered) == subjects(0, 1, 2)
        first, second = throttled.held()
        assert (first.subject, second.subject) == ("Number 3", "Number 4")
        assert first.last_error == f"{ANN} has sent 3 messages in the last hour, of 3 allowed"
        assert first.next_attempt is not None and second.next_attempt is not None
        minutes = (first.next_attempt - timezone.now()).total_seconds() / 60
        assert minutes == pytest.approx(60, abs=1)
        assert (second.next_attempt - first.next_attempt).total_seconds() / 60 == pytest.approx(20, abs=1)

    def test_what_waits_arrives_in_order_once_each_and_costs_no_attempt(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=4)
        throttled.send(10)
        throttled.spool.work()
        assert {entry.attempts for entry in throttled.held()} == {0}
        for _ in range(20):
            throttled.later(minutes=15)
            throttled.spool.work()
        assert sorted(throttled.delivered[:4]) == subjects(0, 1, 2, 3)
        assert throttled.delivered[4:] == subjects(4, 5, 6, 7, 8, 9)
        assert Entry.objects.count() == HeldEntry.objects.count() == 0
        assert Attempt.objects.filter(recipients=BOB).count() == 10

    def test_new_mail_does_not_overtake_what_waits(self, throttled: Throttled) -> None:
        throttled.limit(bandwidth_mb_per_hour=1)
        throttled.send(2, size=700_000)
        throttled.spool.work()
        assert len(throttled.held()) == 1
        throttled.send(1, size=1_000)
        throttled.spool.work()
        assert [entry.size_bytes > 500_000 for entry in throttled.held()] == [True, False]

    def test_others_go_on_and_so_does_mail_that_counts_for_nobody(self, throttled: Throttled, ben: str) -> None:
        throttled.limit(messages_per_hour=1)
        throttled.send(3)
        throttled.send(1, user=ben)
        throttled.spool.take(sender="")
        throttled.spool.work()
        assert len(throttled.spool.peer.taken) == 3
        assert len(throttled.held()) == 2

    def test_a_domain_over_its_limit_does_not_stop_the_rest(self, throttled: Throttled, ben: str) -> None:
        accounts_actions.add_domain("other.test")
        other = User(email="cy@other.test", domain=accounts_actions.get_domain("other.test"))
        other.set_unusable_password()
        other.save()
        throttled.limit(HERE, messages_per_hour=2)
        throttled.send(2)
        throttled.send(1, user=ben)
        throttled.send(1, user="cy@other.test")
        throttled.spool.work()
        assert [entry.auth_user for entry in throttled.held()] == [ben]
        [event] = ThrottleEvent.objects.all()
        assert (event.kind, event.name, event.metric, event.amount) == ("domain", HERE, "messages", 2)

    def test_recipients_are_counted_one_by_one(self, throttled: Throttled) -> None:
        throttled.limit(recipients_per_hour=5)
        throttled.send(1, to=[BOB, f"b@{FAR}", f"c@{FAR}"])
        throttled.send(2)
        throttled.send(1)
        throttled.spool.work()
        assert len(throttled.held()) == 1

    def test_a_message_larger_than_a_whole_limit_goes_when_nothing_else_has(self, throttled: Throttled) -> None:
        throttled.limit(bandwidth_mb_per_hour=1)
        throttled.send(1, size=1_500_000)
        throttled.spool.work()
        assert len(throttled.spool.peer.taken) == 1
        throttled.send(1, size=1_000)
        throttled.spool.work()
        assert len(throttled.held()) == 1

    def test_a_retry_is_not_counted_again_nor_held(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=1)
        throttled.spool.peer.on["CONNECT"] = "421 4.3.2 closed for lunch"
        throttled.send(1)
        throttled.spool.work()
        assert Entry.objects.get().status == Status.WAITING
        del throttled.spool.peer.on["CONNECT"]
        throttled.later(minutes=16)
        throttled.spool.work()
        assert Entry.objects.count() == 0
        assert Passage.objects.count() == 1

    def test_more_room_is_used_as_soon_as_there_is_some(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=1)
        throttled.send(3)
        throttled.spool.work()
        throttled.limit(messages_per_hour=0)
        throttled.forget()
        tasks.sweep()
        throttled.spool.work()
        assert Entry.objects.count() == 0


class TestFarFromTheLimit:
    """What goes is counted a moment later, in the passes' own time, and exactly."""

    @staticmethod
    def used() -> int:
        window = Window(Subject(SubjectKind.USER, ANN), Metric.MESSAGES)
        return windows.look([window])[window].used

    def test_most_batches_ask_nothing_and_all_is_counted_once(
        self, throttled: Throttled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []

        def decide_slowly(batch: list[LeasedEntry], *rest: Any) -> Decisions:
            asked.append(len(batch))
            time.sleep(0.5)
            return decide(batch, *rest)

        monkeypatch.setattr(stages, "decide", decide_slowly)
        monkeypatch.setattr(allowance, "KNOWN_SECONDS", 3600.0)
        throttled.limit(messages_per_hour=1_000_000)
        throttled.send(700)
        # Of users is known what was read within the second; here as of limits, however long it takes.
        directory.forget()
        monkeypatch.setattr(directory_cache, "FRESH_SECONDS", 3600.0)
        throttled.spool.work()
        assert len(throttled.spool.peer.taken) == Passage.objects.count() == 700
        assert len(asked) == 1, "all that came meanwhile had its answer from the first question"
        assert self.used() == 700

    def test_the_limit_is_exact_when_it_comes_near(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=300)
        throttled.send(340)
        throttled.spool.work()
        assert len(throttled.spool.peer.taken) == 300
        assert [entry.subject for entry in throttled.held()] == subjects(*range(300, 340))
        assert self.used() == 300

    def test_where_something_waits_nothing_goes_without_a_question(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=2)
        throttled.send(3)
        throttled.spool.work()
        throttled.limit(messages_per_hour=1_000_000)
        throttled.forget()
        throttled.send(250)
        throttled.spool.work()
        assert len(throttled.held()) == 251, "all of them stay behind the one that waits"

    def test_what_is_owed_when_a_pass_ends_is_counted(
        self, throttled: Throttled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(allowance, "COUNTED_WITHIN_SECONDS", 3600.0)
        throttled.limit(messages_per_hour=1_000_000)
        throttled.send(250)
        throttled.spool.work()
        assert self.used() == 250


class TestRecordOnly:
    def test_everything_goes_and_the_event_says_how_much(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=2, messages_action="none")
        throttled.send(5)
        throttled.spool.work()
        assert len(throttled.spool.peer.taken) == 5
        [event] = ThrottleEvent.objects.all()
        assert (event.action, event.used, event.amount) == ("none", 5, 2)


class TestListsAndForwards:
    def test_the_copies_of_a_list_count_for_the_list_and_wait(self, throttled: Throttled) -> None:
        news = accounts_actions.add_list(f"news@{HERE}", [BOB, f"b@{FAR}"])
        accounts_actions.change(news, recipients_per_hour=2)
        for _ in range(2):
            throttled.spool.take_for_us(b"Subject: News\r\n\r\nx\r\n", f"news@{HERE}", f"x@{FAR}")
        throttled.spool.work()
        assert len(throttled.spool.peer.taken) == 1
        [held] = throttled.held()
        assert held.origin == "list"
        assert held.last_error == f"news@{HERE} has sent to 2 recipients in the last hour, of 2 allowed"

    def test_a_forward_that_leaves_counts_for_who_forwards(self, throttled: Throttled) -> None:
        accounts_actions.change(accounts_actions.get_user(ANN), forward_to=BOB, messages_per_hour=1)
        for _ in range(2):
            throttled.spool.take_for_us(b"Subject: Hello\r\n\r\nx\r\n", ANN, f"x@{FAR}")
        throttled.spool.work()
        held = throttled.held()
        assert {entry.origin for entry in held} == {"forward"}
        assert [entry.subject for entry in held if "limit" not in entry.subject] == ["Hello"]

    def test_what_a_limit_would_reject_is_delayed_when_it_has_been_accepted(self, throttled: Throttled) -> None:
        news = accounts_actions.add_list(f"news@{HERE}", [BOB])
        accounts_actions.change(news, messages_per_hour=1, messages_action="reject")
        for _ in range(2):
            throttled.spool.take_for_us(b"Subject: News\r\n\r\nx\r\n", f"news@{HERE}", f"x@{FAR}")
        throttled.spool.work()
        assert len(throttled.held()) == 1


class TestTwoWorkers:
    """Two workers take what is due in turns: neither sends what came later, and times follow the queue."""

    def leased(self, owner: str, count: int) -> list[LeasedEntry]:
        with statements.write_transaction():
            return leases.take(owner, timezone.now(), count, straight=True, no_delay=True)

    def decide(self, owner: str, batch: list[LeasedEntry]) -> list[str]:
        """The subjects of what goes; what waits rests, as a pass has it."""
        decisions = decide(batch, (), timezone.now(), (), owner)
        rounds.Rounds(owner, [])._rest(
            [(held.entry, WaitUntil(held.until, Status.THROTTLED, held.reason)) for held in decisions.held]
        )
        with statements.write_transaction():
            if note := ledger.writing_passages(decisions.going, timezone.now()):
                note()
        return [entry.subject for entry, _ in decisions.going]

    def minutes(self) -> list[int]:
        """When each of those that wait goes, in their order."""
        waiting = HeldEntry.objects.order_by("entry_id")
        assert [row.until for row in waiting] == [entry.due_at for entry in throttled_entries()]
        return [round((row.until - timezone.now()).total_seconds() / 60) for row in waiting]

    @pytest.mark.parametrize("first", [0, 1])
    def test_the_oldest_go_and_the_rest_is_shown_one_after_the_other(self, throttled: Throttled, first: int) -> None:
        throttled.limit(messages_per_hour=10)
        throttled.send(25)
        batches = [("a", self.leased("a", 5)), ("b", self.leased("b", 10)), ("a", self.leased("a", 10))]
        order = batches if not first else batches[::-1]
        went: list[str] = []
        for owner, batch in order:
            went += self.decide(owner, batch)
        # What only let older mail go first is looked at again within seconds.
        for _ in range(3):
            throttled.later(seconds=3)
            while batch := self.leased("c", 100):
                went += self.decide("c", batch)
        assert sorted(went) == sorted(subjects(*range(10)))
        assert [entry.subject for entry in throttled.held()] == subjects(*range(10, 25))
        assert self.minutes() == [60 + 6 * place for place in range(15)]

    def test_nobody_is_told_of_a_limit_that_is_not_reached(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=10)
        throttled.send(10)
        older, newer = self.leased("a", 9), self.leased("b", 1)
        assert self.decide("b", newer) == subjects(9)
        assert self.decide("a", older) == subjects(*range(9))
        assert not ThrottleEvent.objects.exists()


def throttled_entries() -> list[Entry]:
    return list(Entry.objects.filter(status="throttled").order_by("id"))


class TestMailboxesHere:
    """A limit on what leaves the server holds nothing that is for a mailbox here: recipients elsewhere wait alone."""

    def test_a_kept_copy_arrives_at_once_while_the_forward_waits(self, throttled: Throttled) -> None:
        user = accounts_actions.get_user(ANN)
        accounts_actions.change(user, forward_to=BOB, forward_keeps_copy=True, messages_per_hour=1)
        throttled.send(1)
        throttled.spool.work()
        throttled.spool.take_for_us(b"Subject: Hello\r\n\r\nx\r\n", ANN, f"x@{FAR}")
        throttled.spool.work()
        kept = [str(message["Subject"]) for message in throttled.spool.mailbox()]
        # The notice that the limit is reached, too.
        assert kept == [f"Messages Out: the limit of {ANN} is reached", "Hello"]
        held = throttled.held()[-1]
        assert (held.subject, held.recipients_done, held.recipients_total, held.attempts) == ("Hello", 1, 2, 0)
        assert held.last_error == f"{ANN} has sent 1 message in the last hour, of 1 allowed"
        assert throttled.delivered == ["Number 0"]

    def test_what_waited_elsewhere_goes_in_its_turn_and_nothing_comes_twice(self, throttled: Throttled) -> None:
        user = accounts_actions.get_user(ANN)
        accounts_actions.change(user, forward_to=BOB, forward_keeps_copy=True, messages_per_hour=2)
        no_notices(throttled)
        for number in range(5):
            throttled.spool.take_for_us(f"Subject: Number {number}\r\n\r\nx\r\n".encode(), ANN, f"x@{FAR}")
        throttled.spool.work()
        assert len(throttled.spool.mailbox()) == 5
        # A forward begins when its copy is in the mailbox: which of several is the first is a matter of chance.
        held = [entry.subject for entry in throttled.held()]
        assert len(held) == 3
        for _ in range(20):
            throttled.later(minutes=15)
            throttled.spool.work()
        assert throttled.delivered[2:] == held
        assert sorted(throttled.delivered) == subjects(*range(5))
        assert len(throttled.spool.mailbox()) == len(throttled.spool.peer.taken) == 5
        assert Entry.objects.count() == HeldEntry.objects.count() == 0

    def test_members_here_get_the_posts_of_a_list_over_its_limit(self, throttled: Throttled) -> None:
        news = accounts_actions.add_list(f"news@{HERE}", [ANN, BOB])
        accounts_actions.change(news, recipients_per_hour=1)
        for _ in range(2):
            throttled.spool.take_for_us(b"Subject: News\r\n\r\nx\r\n", f"news@{HERE}", f"x@{FAR}")
        throttled.spool.work()
        assert len(throttled.spool.mailbox()) == 2
        [held] = throttled.held()
        assert held.last_error == f"news@{HERE} has sent to 1 recipient in the last hour, of 1 allowed"

    def test_a_colleague_gets_what_waits_for_others_and_what_is_for_here_alone(
        self, throttled: Throttled, ben: str
    ) -> None:
        throttled.limit(messages_per_hour=1)
        throttled.send(1)
        throttled.spool.work()
        mixed = a_submission(ANN, [BOB], subject="To both")
        mixed.envelope.recipients.append(a_recipient(ben, Kind.LOCAL))
        alone = a_submission(ANN, ben, Kind.LOCAL, subject="To Ben")
        mixed.envelope.auth_user = alone.envelope.auth_user = ANN
        intake.accept([mixed, alone])
        throttled.spool.work()
        assert {str(message["Subject"]) for message in throttled.spool.mailbox(ben)} == {"To both", "To Ben"}
        assert [entry.subject for entry in throttled.held()] == ["To both"]

    def test_neither_a_domain_over_its_limit_nor_one_with_too_many_bounces_holds_a_kept_copy(
        self, throttled: Throttled
    ) -> None:
        accounts_actions.change(accounts_actions.get_user(ANN), forward_to=BOB, forward_keeps_copy=True)
        throttled.limit(HERE, bounces_per_hour=1, messages_per_hour=1)
        ReceivedBounce.objects.create(user=ANN, domain=HERE, received=timezone.now())
        throttled.spool.take_for_us(b"Subject: Hello\r\n\r\nx\r\n", ANN, f"x@{FAR}")
        throttled.spool.work()
        assert [message["Subject"] for message in throttled.spool.mailbox()] == ["Hello"]
        assert [entry.subject for entry in throttled.held()] == ["Hello"]

    def test_the_forward_of_mail_to_an_alias_counts_for_the_mailbox_that_forwards(self, throttled: Throttled) -> None:
        user = accounts_actions.get_user(ANN)
        accounts_actions.change(user, forward_to=BOB, forward_keeps_copy=True, messages_per_hour=1)
        for _ in range(2):
            submission = a_submission(f"x@{FAR}", ANN, Kind.LOCAL)
            submission.envelope.recipients[0].original = f"sales@{HERE}"
            intake.accept([submission])
        throttled.spool.work()
        assert HeldEntry.objects.filter(kind="user", name=ANN).exists()

    def test_a_mailbox_that_is_full_is_tried_again_and_takes_nothing_of_the_limit(self, throttled: Throttled) -> None:
        user = accounts_actions.get_user(ANN)
        accounts_actions.change(
            user, forward_to=BOB, forward_keeps_copy=True, messages_per_hour=1, messages_action="delay", mailbox_mb=1
        )
        throttled.send(1)
        throttled.spool.work()
        large = b"Subject: Large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 20_000
        throttled.spool.take_for_us(large, ANN, f"x@{FAR}")
        throttled.spool.work()
        [held] = [entry for entry in throttled.held() if entry.subject == "Large"]
        assert (held.recipients_done, held.attempts) == (0, 0)
        accounts_actions.change(user, mailbox_mb=100)
        throttled.later(minutes=16)
        throttled.spool.work()
        assert "Large" in [message["Subject"] for message in throttled.spool.mailbox()]
        assert "Large" not in throttled.delivered

    def test_a_worker_that_dies_with_the_copy_stored_loses_and_doubles_nothing(
        self, throttled: Throttled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = accounts_actions.get_user(ANN)
        accounts_actions.change(user, forward_to=BOB, forward_keeps_copy=True, messages_per_hour=1)
        no_notices(throttled)
        throttled.send(1)
        throttled.spool.work()
        throttled.spool.take_for_us(b"Subject: Hello\r\n\r\nx\r\n", ANN, f"x@{FAR}")
        record, lost = rounds.outcomes.record, []

        def record_but_forwards(owner: str, reports: list[DeliveryReport], *rest: Any) -> None:
            if any(report.entry.held_back for report in reports):
                lost.append(len(reports))
                return
            record(owner, reports, *rest)

        monkeypatch.setattr(rounds.outcomes, "record", record_but_forwards)
        passes.run()
        passes.run()
        assert lost
        assert Entry.objects.exclude(leased_by="").count() == sum(lost)
        monkeypatch.setattr(rounds.outcomes, "record", record)
        throttled.later(seconds=40)
        throttled.spool.work()
        assert len([m for m in throttled.spool.mailbox() if m["Subject"] == "Hello"]) == 1
        throttled.later(hours=3)
        throttled.spool.work()
        assert Entry.objects.count() == 0
        assert (
            throttled.delivered.count("Hello")
            == len([m for m in throttled.spool.mailbox() if m["Subject"] == "Hello"])
            == 1
        )

    def test_what_is_released_while_the_copy_is_stored_goes_all_the_same(self, throttled: Throttled) -> None:
        user = accounts_actions.get_user(ANN)
        accounts_actions.change(user, forward_to=BOB, forward_keeps_copy=True, messages_per_hour=1)
        throttled.send(1)
        throttled.spool.work()
        throttled.spool.take_for_us(b"Subject: Hello\r\n\r\nx\r\n", ANN, f"x@{FAR}")
        throttled.spool.work()
        Entry.objects.filter(status="throttled").update(leased_by="a worker")
        releases.forget_what_left()
        assert HeldEntry.objects.count() == Entry.objects.count() > 0
        releases.let_go(Subject(SubjectKind.USER, ANN), timezone.now())
        assert not Entry.objects.filter(due_at__lte=timezone.now()).exists()
        Entry.objects.update(leased_by="")
        releases.wake_released(timezone.now())
        throttled.spool.work()
        assert "Hello" in throttled.delivered


class TestBounces:
    def test_a_domain_that_gets_too_many_bounces_sends_no_more_until_they_are_an_hour_old(
        self, throttled: Throttled
    ) -> None:
        throttled.limit(HERE, bounces_per_hour=2)
        for _ in range(2):
            ReceivedBounce.objects.create(user=ANN, domain=HERE, received=timezone.now())
        throttled.send(1)
        throttled.spool.work()
        [held] = throttled.held()
        assert held.last_error == f"{HERE} has received 2 bounces in the last hour, of 2 allowed"
        throttled.later(minutes=61)
        throttled.spool.work()
        assert Entry.objects.count() == 0

    def test_one_fewer_stops_nothing(self, throttled: Throttled) -> None:
        throttled.limit(HERE, bounces_per_hour=2)
        ReceivedBounce.objects.create(user=ANN, domain=HERE, received=timezone.now())
        throttled.send(1)
        throttled.spool.work()
        assert Entry.objects.count() == 0


class TestWhatGoesWrong:
    def test_after_redis_was_emptied_the_counts_are_the_same(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=3)
        throttled.send(2)
        throttled.spool.work()
        with throttled.redis.client() as client:
            client.flushall()
        throttled.send(3)
        throttled.spool.work()
        assert len(throttled.spool.peer.taken) == 3
        assert len(throttled.held()) == 2

    def test_while_redis_is_away_mail_goes_on_and_is_counted_afterwards(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=3)
        throttled.redis.stop()
        try:
            throttled.send(2)
            throttled.spool.work()
        finally:
            throttled.redis.start()
            wait_until(redis_client.is_there, "Redis is asked again")
        assert len(throttled.spool.peer.taken) == 2
        throttled.send(2)
        throttled.spool.work()
        assert len(throttled.held()) == 1

    def test_an_entry_whose_worker_died_after_it_was_counted_is_not_counted_again(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=2)
        [name] = throttled.send(1)
        Passage.objects.create(
            file_name=name, at=int(timezone.now().timestamp()), sender=ANN, domain=HERE, recipients=1, size_bytes=1
        )
        throttled.send(1)
        throttled.spool.work()
        assert len(throttled.spool.peer.taken) == 2
        throttled.send(1)
        throttled.spool.work()
        assert len(throttled.held()) == 1

    @pytest.mark.parametrize("hours", [-2, 3])
    def test_a_clock_that_jumps_neither_loses_mail_nor_sends_it_twice(self, throttled: Throttled, hours: int) -> None:
        throttled.limit(messages_per_hour=2)
        throttled.send(5)
        throttled.spool.work()
        throttled.spool.later(hours=hours)
        throttled.spool.work()
        for _ in range(14):
            throttled.later(minutes=30)
            tasks.sweep()
            throttled.spool.work()
        assert sorted(throttled.delivered) == subjects(0, 1, 2, 3, 4)

    def test_a_deleted_message_leaves_its_place_to_the_next(self, throttled: Throttled) -> None:
        throttled.limit(messages_per_hour=1)
        throttled.send(3)
        throttled.spool.work()
        first, second = throttled.held()
        Entry.objects.filter(pk=first.pk).delete()
        throttled.later(minutes=61)
        tasks.sweep()
        throttled.spool.work()
        assert not Entry.objects.filter(pk=second.pk).exists()


def test_the_head_of_a_queue_is_the_first_that_is_still_in_the_spool(
    throttled: Throttled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "_AT_A_TIME", 2)
    throttled.limit(messages_per_hour=1)
    throttled.send(7)
    throttled.spool.work()
    ids = [entry.pk for entry in throttled.held()]
    limits = [(Subject(SubjectKind.USER, ANN), Metric.MESSAGES)]

    def head(*, without: list[int]) -> int | None:
        queue = ledger.queues(limits, without).get(limits[0])
        return queue and queue.first

    assert len(ids) == 6
    assert head(without=[]) == ids[0]
    assert head(without=ids[:1]) == ids[1]
    Entry.objects.filter(pk__in=ids[:4]).delete()
    assert head(without=[]) == ids[4]
    assert head(without=ids[:1]) == ids[4]
    assert head(without=ids[4:5]) == ids[5]
    assert head(without=ids[4:]) is None
    Entry.objects.filter(pk__in=ids).delete()
    assert head(without=[]) is None


def test_without_limits_nobody_is_asked_about_any_message(
    throttled: Throttled, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[object] = []
    monkeypatch.setattr(stages, "decide", lambda *arguments: decided.append(arguments))
    throttled.send(20)
    throttled.spool.work()
    assert Entry.objects.count() == 0
    assert decided == []
    assert Passage.objects.count() == 0


def test_a_batch_takes_a_number_of_queries_that_does_not_grow(throttled: Throttled) -> None:
    throttled.limit(messages_per_hour=1000, bandwidth_mb_per_hour=100)
    throttled.limit(HERE, messages_per_hour=10_000)

    def queries(count: int) -> int:
        throttled.send(count)
        with statements.write_transaction():
            batch = leases.take("x", timezone.now(), 100, straight=True, no_delay=True)
        decide(batch, (), timezone.now())
        with CaptureQueriesContext(connection) as captured:
            decide(batch, (), timezone.now())
        return len(captured)

    assert queries(2) == queries(50)


def test_a_client_without_a_login_counts_by_its_address(throttled: Throttled) -> None:
    row = ThrottleSettings.load()
    row.ip_messages_per_hour, row.ip_action = 1, "delay"
    row.save()
    throttled.forget()
    submission = a_submission(f"x@{FAR}", ANN)
    submission.envelope.recipients = [a_recipient(BOB)]
    intake.accept([submission])
    intake.accept([a_submission(f"x@{FAR}", BOB)])
    throttled.spool.work()
    [held] = throttled.held()
    assert held.last_error.startswith("The address 192.0.2.7 has sent 1 message in the last hour")
    assert ThrottleEvent.objects.get().metric == Metric.MESSAGES
