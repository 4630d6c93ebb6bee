"""Traffic counts: each receipt and each delivery once, whatever happens in between."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.db.models import Sum

from accounts import actions as accounts_actions
from mailspool.overview.behind import deliveries
from mailspool.overview.tables import BY_NAME, WINDOWS
from spool.files import store
from spool.flow import intake, leases, outcomes
from spool.message.envelope import DeliveryReport, RecipientResult
from spool.models import (
    Entry,
    Settings,
    Trace,
    TrafficBatch,
    TrafficCount,
    TrafficKind,
    TrafficSeries,
    TrafficState,
    TrafficTotal,
)
from spool.models.recipient import Kind, Outcome
from spool.rows import statements, traffic_batches
from spool.traffic import figures, rollup
from spool.traffic.series import RANGES, percentile, points
from tests.spool.passing import ANN, FAR, HERE, START, Spool
from tests.support.messages import a_submission
from tests.support.redis import RedisServer
from tests.support.spool_states import attempt, take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
K = TrafficKind


def counted() -> dict[tuple[int, str], int]:
    rollup.roll_up()
    return {(row.kind, row.key): row.total for row in TrafficTotal.objects.all()}


def test_a_delivery_elsewhere_counts_for_its_sender_and_its_ip(spool: Spool) -> None:
    spool.take([f"bob@{FAR}", f"eve@{FAR}"])
    spool.work()
    assert counted() == {
        (K.RECEIVED_SENDER, ANN): 1,
        (K.RECEIVED_OUTBOUND, "-"): 1,
        (K.REMOTE, "-"): 2,
        (K.OUTBOUND_SENDER, ANN): 2,
        (K.OUTBOUND_IP, "192.0.2.7"): 2,
        (K.HANDED_IN_SENDER, ANN): 1,
        (K.HANDED_IN_IP, "192.0.2.7"): 1,
        (K.ANSWERED_DOMAIN, FAR): 2,
    }


@pytest.mark.parametrize("payload", ["not JSON", "{}", '{"at": 0, "r": [["a\\u0000b@far.test", "", true], 5]}'])
def test_a_batch_that_can_not_be_added_up_is_in_the_way_of_no_other(spool: Spool, payload: str) -> None:
    spool.take()
    TrafficBatch.objects.create(payload=payload)
    spool.take()
    assert counted()[K.RECEIVED_SENDER, ANN] == 2
    assert not TrafficBatch.objects.exists()


def test_a_delivery_here_counts_for_recipient_sender_ip_and_domain(spool: Spool) -> None:
    spool.take_for_us(b"Subject: Hello\r\n\r\nHello\r\n", sender="Eve@Far.test")
    spool.work()
    assert counted() == {
        (K.RECEIVED_SENDER, "eve@far.test"): 1,
        (K.RECEIVED_INBOUND, "-"): 1,
        (K.LOCAL, "-"): 1,
        (K.INBOUND_RECIPIENT, ANN): 1,
        (K.INBOUND_SENDER, "eve@far.test"): 1,
        (K.INBOUND_IP, "192.0.2.7"): 1,
        (K.INBOUND_DOMAIN, FAR): 1,
        (K.HANDED_IN_SENDER, "eve@far.test"): 1,
        (K.HANDED_IN_IP, "192.0.2.7"): 1,
    }


def test_a_forward_with_a_copy_is_one_delivery_here_and_one_elsewhere(spool: Spool) -> None:
    accounts_actions.change(accounts_actions.get_user(ANN), forward_to=f"bob@{FAR}", forward_keeps_copy=True)
    spool.take_for_us(b"Subject: Hello\r\n\r\nHello\r\n", sender=f"eve@{FAR}")
    spool.work()
    totals = counted()
    assert (totals[K.LOCAL, "-"], totals[K.REMOTE, "-"]) == (1, 1)
    assert (totals[K.INBOUND_RECIPIENT, ANN], totals[K.INBOUND_SENDER, f"eve@{FAR}"]) == (1, 1)
    assert (totals[K.INBOUND_IP, "192.0.2.7"], totals[K.INBOUND_DOMAIN, FAR]) == (1, 1)
    [shown] = deliveries(BY_NAME["inbound-recipients"], Kind.LOCAL, ANN, WINDOWS[0], datetime.now(UTC)).traces
    assert shown.host == "maildir"


def test_a_list_and_an_alias_are_no_users_and_a_post_is_delivered_to_each_member_once(spool: Spool) -> None:
    accounts_actions.add_list(f"news@{HERE}", [ANN, f"bob@{FAR}"])
    spool.take_for_us(b"Subject: Hello\r\n\r\nHello\r\n", f"news@{HERE}", f"eve@{FAR}")
    spool.work()
    totals = counted()
    assert (totals[K.LOCAL, "-"], totals[K.REMOTE, "-"]) == (1, 1)
    assert {key for kind, key in totals if kind == K.INBOUND_RECIPIENT} == {ANN}
    # Who floods a list is among the senders all the same.
    assert (totals[K.INBOUND_SENDER, f"eve@{FAR}"], totals[K.INBOUND_DOMAIN, FAR]) == (1, 1)
    now = datetime.now(UTC)
    assert [t.host for t in deliveries(None, Kind.LOCAL, "", WINDOWS[0], now).traces] == ["maildir"]
    [post] = deliveries(BY_NAME["inbound-senders"], Kind.LOCAL, f"eve@{FAR}", WINDOWS[0], now).traces
    assert post.host == "list"


def test_what_bounces_is_in_the_series_and_no_delivery(spool: Spool) -> None:
    spool.peer.rcpt[f"bob@{FAR}"] = "550 5.1.1 No such user"
    spool.take()
    spool.work()
    totals = counted()
    # The bounce itself went to Ann.
    assert (K.REMOTE, "-") not in totals
    assert totals[K.INBOUND_RECIPIENT, ANN] == 1
    point = points(RANGES["1h"], datetime.now(UTC))[-1]
    assert (point.bounced, point.delivered_local, point.received) == (1, 1, 2)


def test_the_counts_are_in_the_database_alone(redis: RedisServer) -> None:
    attempt(take_in(a_submission()), "250 ok", outcome=Outcome.DELIVERED)
    with redis.client() as client:
        client.flushall()
    assert counted()[K.REMOTE, "-"] == 1


def test_a_commit_that_comes_to_nothing_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    [entry] = take_in(a_submission())
    rollup.roll_up()
    monkeypatch.setattr(intake, "insert_rows", _fail)
    with statements.write_transaction():
        [leased] = leases.take("worker", entry.created + timedelta(seconds=5), 1, straight=True, no_delay=True)
    report = DeliveryReport(leased, [RecipientResult(leased.recipients[0], Outcome.DELIVERED, "250 ok")])
    report.spawned.append(a_submission())
    with pytest.raises(RuntimeError):
        outcomes.record("worker", [report], store.Writer(), Settings.load(), entry.created)
    assert not TrafficBatch.objects.exists()
    report.spawned.clear()
    outcomes.record("worker", [report], store.Writer(), Settings.load(), entry.created)
    assert counted()[K.REMOTE, "-"] == 1 == Trace.objects.count()


def _fail(*args: Any) -> Any:
    raise RuntimeError("killed")


def test_adding_up_that_dies_in_the_middle_has_counted_nothing_and_the_next_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempt(take_in(*[a_submission() for _ in range(5)]), "250 ok", outcome=Outcome.DELIVERED)
    with monkeypatch.context() as patched:
        patched.setattr(rollup.traffic_sums, "grow", _fail)
        with pytest.raises(RuntimeError):
            rollup.roll_up()
    assert not TrafficTotal.objects.exists()
    assert TrafficBatch.objects.exists()
    assert counted()[K.REMOTE, "-"] == 5
    assert counted()[K.REMOTE, "-"] == 5
    assert not TrafficBatch.objects.exists()


def test_several_processes_that_add_up_while_mail_comes_count_each_message_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rollup, "CHUNK", 3)
    TrafficState.objects.create(since=START, rolled=START)
    stop = threading.Event()

    def add_up() -> None:
        while not stop.is_set():
            rollup.roll_up()
        connection.close()

    threads = [threading.Thread(target=add_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        intake.accept([a_submission(), a_submission("eve@example.org")])
    stop.set()
    for thread in threads:
        thread.join()
    totals = counted()
    assert totals[K.RECEIVED_SENDER, "ann@example.org"] == totals[K.RECEIVED_SENDER, "eve@example.org"] == 30
    assert Entry.objects.count() == 60


def test_a_delivery_that_comes_after_its_message_was_deleted_counts_once(spool: Spool) -> None:
    from spool.actions import Actor, perform

    name = spool.take()
    entry = Entry.objects.get(file_name=name)
    with statements.write_transaction():
        [leased] = leases.take("slow", entry.created + timedelta(seconds=5), 1, straight=True, no_delay=True)
    spool.later(minutes=5)
    perform("delete", [entry.pk], Actor.system())
    report = DeliveryReport(leased, [RecipientResult(leased.recipients[0], Outcome.DELIVERED, "250 ok")])
    for _ in range(2):
        outcomes.record("slow", [report], store.Writer(), Settings.load(), entry.created)
    assert counted()[K.OUTBOUND_SENDER, ANN] == 1


def test_addresses_that_no_database_takes_are_counted_under_what_is_left_of_them() -> None:
    with statements.write_transaction():
        traffic_batches.receipts([("a\x00b\ud800@example.org", "192.0.2.7", True)], START)
    assert counted() == {(K.RECEIVED_SENDER, "ab?@example.org"): 1, (K.RECEIVED_OUTBOUND, "-"): 1}


def deliver(moment: datetime, sender: str, number: int = 1, kind: Kind = Kind.REMOTE) -> None:
    """`number` deliveries, as completion counts them."""
    ending: traffic_batches.Ending = ("delivered", kind.value, sender, "192.0.2.7", f"bob@{HERE}", moment.isoformat())
    with statements.write_transaction():
        traffic_batches.endings([ending] * number, moment)


def test_windows_are_exact_at_the_minute_and_the_day_at_the_hour() -> None:
    now = datetime(2026, 3, 2, 12, 30, 40, tzinfo=UTC)
    ages = {"4m": 4, "5m": 5, "6m": 6, "59m": 59, "60m": 60, "61m": 61, "23h": 23 * 60, "24h": 24 * 60}
    ages |= {"25h": 25 * 60}
    for name, minutes in ages.items():
        deliver(now - timedelta(minutes=minutes), name)
    with time_machine.travel(now):
        rollup.roll_up()
        rows = figures.rows_of(K.OUTBOUND_SENDER, list(ages), now)
    assert [name for name in ages if rows[name].five_minutes] == ["4m", "5m"]
    assert [name for name in ages if rows[name].hour] == ["4m", "5m", "6m", "59m", "60m"]
    assert [name for name in ages if not rows[name].day] == ["25h"]
    assert {rows[name].total for name in ages} == {1}
    assert sum(rows["4m"].hours) == rows["4m"].hours[-1] == 1
    assert rows["24h"].hours[0] == 1


@pytest.mark.parametrize("seed", range(3))
def test_after_any_number_of_compactions_the_windows_are_those_of_every_single_delivery(seed: int) -> None:
    chance = random.Random(seed)
    moments: list[tuple[datetime, str]] = []
    now = START
    for _ in range(25):
        now += timedelta(minutes=chance.choice([1, 3, 25, 61, 200, 800]), seconds=chance.randrange(60))
        for _ in range(3):
            # Now and then a process is late with what it has to say.
            moment = now - timedelta(minutes=chance.choice([0, 0, 2, 70, 1500]))
            moments.append((moment, chance.choice("abc")))
            deliver(*moments[-1])
        with time_machine.travel(now):
            rollup.roll_up()
    minute = rollup.minute_of(now)
    for row in figures.tops([K.OUTBOUND_SENDER], now)[K.OUTBOUND_SENDER]:
        mine = [rollup.minute_of(moment) for moment, key in moments if key == row.key]
        assert row.total == len(mine)
        assert row.five_minutes == sum(m >= minute - 5 for m in mine)
        assert row.hour == sum(m >= minute - 60 for m in mine)
        assert row.day == sum(m // 60 * 60 > minute - 1440 - 60 for m in mine)
        assert row.day == sum(row.hours)
    by_key = Counter(key for _, key in moments)
    for total in TrafficTotal.objects.filter(kind=K.OUTBOUND_SENDER):
        buckets = TrafficCount.objects.filter(kind=K.OUTBOUND_SENDER, key=total.key)
        assert (total.day, total.total) == (buckets.aggregate(n=Sum("number"))["n"] or 0, by_key[total.key])
    assert not TrafficCount.objects.filter(span=1, minute__lt=minute - 60).exists()


def test_the_history_of_old_minutes_is_kept_as_hours() -> None:
    with time_machine.travel(START) as clock:
        for number in range(3):
            deliver(START + timedelta(minutes=number), "ann", 4, Kind.LOCAL)
        rollup.roll_up()
        clock.shift(timedelta(days=3))
        rollup.roll_up()
        now = START + timedelta(days=3)
        assert not TrafficSeries.objects.filter(span=1, minute__lt=rollup.minute_of(START) + 60).exists()
        found = points(RANGES["7d"], now)
    assert len(found) == 84
    assert sum(point.delivered_local for point in found) == 12
    assert sum(sum(point.latency) for point in found) == 12


def test_the_depth_of_the_spool_is_written_down_each_minute() -> None:
    take_in(a_submission(), a_submission())
    rollup.roll_up()
    assert points(RANGES["1h"], datetime.now(UTC))[-1].depth == {"delay": 2}


def test_top_rows_come_by_the_last_24_hours_in_two_queries() -> None:
    for number in range(14):
        deliver(START, f"user{number:02}@{HERE}", number + 1)
    deliver(START - timedelta(hours=30), f"user00@{HERE}", 100)
    with time_machine.travel(START):
        rollup.roll_up()
    with StatementsCounted() as ran:
        found = figures.tops([K.OUTBOUND_SENDER, K.OUTBOUND_IP], START)
    assert len(ran) == 2
    assert [row.key for row in found[K.OUTBOUND_SENDER]] == [f"user{n:02}@{HERE}" for n in range(13, 3, -1)]
    assert found[K.OUTBOUND_IP][0].total == 205


class StatementsCounted:
    """What goes by spool.rows.statements, which Django's own counting does not see."""

    def __enter__(self) -> list[str]:
        self.ran: list[str] = []
        self._patch = pytest.MonkeyPatch()
        real = statements.execute
        self._patch.setattr(statements, "execute", lambda text, values: (self.ran.append(text), real(text, values))[1])
        return self.ran

    def __exit__(self, *exception: object) -> None:
        self._patch.undo()


@pytest.mark.parametrize(
    ("five_minutes", "hour", "day", "expected"),
    [
        (0, 0, 0, False),
        (2, 19, 19, False),
        (0, 20, 20, True),
        (3, 30, 240 * 3, False),
        (0, 200, 440, True),
        (30, 30, 24 * 60 + 30, True),
        (10, 100, 2500, False),
    ],
)
def test_a_row_rises_when_its_last_hour_stands_out_of_its_day(
    five_minutes: int, hour: int, day: int, expected: bool
) -> None:
    assert figures.rises(five_minutes, hour, day) is expected


def test_percentiles_lie_within_the_bounds_of_their_bucket() -> None:
    assert percentile([], 0.5) is None
    assert percentile([0] * 13, 0.5) is None
    assert percentile([10] + [0] * 12, 0.5) == 0.125
    assert percentile([0, 0, 0, 4] + [0] * 9, 1) == 2
