"""What is handed in is counted when it is accepted, by whom it came from, with what of it was deferred or bounced."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from accounts import actions as accounts_actions
from spool.message.envelope import Submission
from spool.models import Origin, Outcome, TrafficBatch, TrafficKind, TrafficTotal
from spool.rows import present, statements, traffic_batches
from spool.traffic import rollup
from spool.traffic.figures import Order, by_minute, tops, windows_of
from tests.spool.passing import ANN, FAR, Spool
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
K = TrafficKind
NOW = datetime(2026, 3, 2, 12, 30, 40, tzinfo=UTC)
OF_HANDING_IN = {kind for kind in K if K.HANDED_IN_USER <= kind <= K.REFUSED_DOMAIN}


def counted() -> dict[tuple[int, str], int]:
    rollup.roll_up()
    return {(row.kind, row.key): row.total for row in TrafficTotal.objects.all() if row.kind in OF_HANDING_IN}


def by_dan(number: int = 1, sender: str = "other@example.org") -> Sequence[Submission]:
    submissions = [a_submission(sender) for _ in range(number)]
    for submission in submissions:
        submission.envelope.auth_user = "dan@example.org"
    return submissions


def test_who_logged_in_has_handed_it_in_whatever_the_sender_and_else_the_sender_has() -> None:
    take_in(*by_dan(2), *by_dan(1, "third@example.org"), a_submission("Tom@Far.test"), a_submission(""))
    assert counted() == {
        (K.HANDED_IN_USER, "dan@example.org"): 3,
        (K.HANDED_IN_SENDER, "tom@far.test"): 1,
        (K.HANDED_IN_SENDER, ""): 1,
        (K.HANDED_IN_IP, "192.0.2.7"): 5,
    }


def test_a_message_that_waits_is_deferred_once_however_often_it_is_tried() -> None:
    entries = take_in(*by_dan(3))
    attempt(entries)
    attempt(entries[:2])
    totals = counted()
    assert totals[K.DEFERRED_USER, "dan@example.org"] == totals[K.DEFERRED_IP, "192.0.2.7"] == 3
    assert totals[K.REFUSED_DOMAIN, "example.net"] == totals[K.ANSWERED_DOMAIN, "example.net"] == 3
    assert (K.BOUNCED_USER, "dan@example.org") not in totals
    attempt(entries[:1], "550 5.7.1 No", outcome=Outcome.BOUNCED)
    attempt(entries[1:], "250 ok", outcome=Outcome.DELIVERED)
    totals = counted()
    assert totals[K.BOUNCED_USER, "dan@example.org"] == totals[K.BOUNCED_IP, "192.0.2.7"] == 1
    assert totals[K.DEFERRED_USER, "dan@example.org"] == 3
    assert totals[K.ANSWERED_DOMAIN, "example.net"] == 6
    assert totals[K.REFUSED_DOMAIN, "example.net"] == 4


def test_what_this_server_makes_itself_nobody_has_handed_in(spool: Spool) -> None:
    accounts_actions.change(accounts_actions.get_user(ANN), forward_to=f"bob@{FAR}")
    spool.peer.rcpt[f"bob@{FAR}"] = "450 4.2.0 Later"
    spool.take_for_us(b"Subject: Hello\r\n\r\nHello\r\n", sender=f"eve@{FAR}")
    spool.work()
    totals = counted()
    assert totals[K.HANDED_IN_SENDER, f"eve@{FAR}"] == totals[K.HANDED_IN_IP, "192.0.2.7"] == 1
    assert not any(kind == K.DEFERRED_SENDER for kind, _ in totals)
    take_in(a_submission("x@far.test", origin=Origin.LIST), a_submission("", origin=Origin.DSN))
    assert counted() == totals


def test_a_batch_of_messages_is_one_row_however_many_they_are() -> None:
    for number in (1, 40):
        TrafficBatch.objects.all().delete()
        entries = take_in(*by_dan(number))
        assert TrafficBatch.objects.count() == 1
        attempt(entries)
        assert TrafficBatch.objects.count() == 2


def test_what_is_deferred_and_what_ends_in_one_transaction_is_one_row() -> None:
    entries = take_in(a_submission(to=["a@example.net", "b@example.net"]))
    TrafficBatch.objects.all().delete()
    attempt(entries, only=["a@example.net"])
    [batch] = TrafficBatch.objects.all()
    assert {"e", "d"} <= set(json.loads(batch.payload))


def test_batches_of_the_version_before_are_added_up_and_it_can_add_up_ours() -> None:
    receipt: traffic_batches.Receipt = ("ann@example.org", "192.0.2.7", True)
    with statements.write_transaction():
        traffic_batches.receipts([receipt], NOW)
    assert counted() == {}
    with statements.write_transaction():
        traffic_batches.receipts([receipt], NOW, ["dan@example.org"])
    # It unpacks each by exactly these.
    assert json.loads(TrafficBatch.objects.get().payload)["r"] == [list(receipt)]


def receive(login: str, number: int, minutes: int) -> None:
    moment = NOW - timedelta(minutes=minutes)
    with statements.write_transaction():
        traffic_batches.receipts([("x@example.org", "192.0.2.7", True)] * number, moment, [login] * number)


def test_keys_are_ranked_by_any_window_and_a_quiet_one_leaves_no_table_empty() -> None:
    receive("now@example.org", 9, 1)
    receive("hour@example.org", 20, 30)
    receive("day@example.org", 50, 600)
    receive("ever@example.org", 90, 2000)
    with time_machine.travel(NOW):
        rollup.roll_up()
    expected = {
        Order.FIVE_MINUTES: ["now", "day", "hour"],
        Order.HOUR: ["hour", "now", "day"],
        Order.DAY: ["day", "hour", "now"],
        Order.TOTAL: ["ever", "day", "hour", "now"],
    }
    for order, names in expected.items():
        rows = tops([K.HANDED_IN_USER], NOW, orders={K.HANDED_IN_USER: order})[K.HANDED_IN_USER]
        assert [row.key.partition("@")[0] for row in rows] == names, order
    [first] = tops([K.HANDED_IN_USER], NOW, 1, {K.HANDED_IN_USER: Order.FIVE_MINUTES})[K.HANDED_IN_USER]
    assert (first.key, first.five_minutes, first.day) == ("now@example.org", 9, 9)
    [hour] = windows_of({K.HANDED_IN_USER: ["hour@example.org"]}, NOW).values()
    assert (hour.five_minutes, hour.hour, hour.day) == (0, 20, 20)
    minutes = by_minute({K.HANDED_IN_USER: ["now@example.org", "hour@example.org"]}, NOW)
    assert minutes[K.HANDED_IN_USER, "now@example.org"][-3:] == [0, 9, 0]
    assert minutes[K.HANDED_IN_USER, "hour@example.org"][29] == 20


def test_what_is_in_the_spool_is_told_by_who_handed_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    take_in(*by_dan(3), a_submission("other@example.org"), a_submission("Other@Example.org"), a_submission(""))
    keys = (["dan@example.org", "nobody@example.org"], ["other@example.org", ""], ["192.0.2.7"])
    assert present.numbers(*keys) == ({"dan@example.org": 3}, {"other@example.org": 2, "": 1}, {"192.0.2.7": 6})
    monkeypatch.setattr(present, "MOST", 2)
    assert present.numbers(*keys)[0] == {"dan@example.org": 2}
