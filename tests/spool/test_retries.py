"""What becomes of a message that can't be delivered at once: attempts, notices, giving up."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone

from spool.delivery.remote import backoff, capacity, transport
from spool.delivery.replies import WAITS_FOR_HOST
from spool.delivery.shaping import domains
from spool.flow import leases, passes
from spool.flow.rounds import Round, Rounds
from spool.message.envelope import DeliveryReport
from spool.models import (
    Attempt,
    DestinationRule,
    Entry,
    SourceAddress,
    SourceDay,
    Status,
    Trace,
    TrafficCount,
    TrafficKind,
)
from spool.models.recipient import Outcome
from spool.traffic import rollup
from tests.interop.world import Report
from tests.spool.passing import ANN, FAR, Spool
from tests.support.smtp_peer import HANG, SmtpPeer
from tests.support.waiting import wait_until

BOB = f"bob@{FAR}"


def _no_host(spool: Spool, domain: str = "dead.test") -> str:
    """A domain whose host does not answer, and an address in it."""
    spool.dns.add(domain, "A", "127.0.0.99")
    return f"bob@{domain}"


def test_a_message_to_a_dead_host_is_tried_at_the_intervals_of_the_schedule(spool: Spool) -> None:
    name = spool.take(_no_host(spool))
    for number, minutes in enumerate([15, 30, 60, 90, 90, 90], 1):
        spool.work()
        entry = spool.entry(name)
        assert (entry.status, entry.attempts) == (Status.WAITING, number)
        assert spool.minutes_to_go(name) == pytest.approx(minutes, abs=0.2)
        assert entry.last_error.startswith("connecting to dead.test [127.0.0.99]:")
        spool.later(minutes=minutes - 1)
        spool.work()
        assert spool.entry(name).attempts == number, "not before its time"
        spool.later(minutes=1, seconds=1)
    assert Attempt.objects.filter(file_name=name).count() == 6


def test_rules_and_source_addresses_are_in_force_in_a_pass(spool: Spool) -> None:
    dead = _no_host(spool)
    DestinationRule.objects.create(scope="domain", name="dead.test", retry_intervals_minutes="7, 9")
    DestinationRule.objects.create(scope="domain", name=FAR, messages_per_connection=1)
    SourceAddress.objects.create(address="127.0.1.5", ehlo_name="out5.test", warm_up_since=timezone.now().date())
    SourceAddress.objects.create(address="192.0.2.5", weight=1000)
    tried, sent = spool.take(dead), [spool.take(BOB) for _ in range(3)]
    spool.work()
    assert spool.minutes_to_go(tried) == pytest.approx(7, abs=0.2)
    assert Trace.objects.filter(file_name__in=sent, outcome=Outcome.DELIVERED).count() == 3
    assert {(one.client, one.commands[0]) for one in spool.peer.conversations} == {("127.0.1.5", "EHLO out5.test")}
    assert len(spool.peer.conversations) == 3
    # What the pass has found out and counted is written down.
    assert SourceAddress.objects.get(missing_since__isnull=False).address == "192.0.2.5"
    assert {(one.site, one.sent) for one in SourceDay.objects.all()} >= {(f"mx.{FAR}", 3)}


def test_a_host_that_is_back_gets_what_waited(spool: Spool) -> None:
    spool.peer.on["CONNECT"] = "421 4.3.2 closed for lunch"
    spool.take()
    spool.work()
    del spool.peer.on["CONNECT"]
    spool.later(minutes=16)
    spool.work()
    assert Entry.objects.count() == 0
    assert len(spool.peer.taken) == 1
    trace = Trace.objects.get()
    assert (trace.outcome, trace.attempts) == (Outcome.DELIVERED, 2)
    # The pass has written down where that was.
    assert list(domains.sites_of([FAR])) == [FAR]


def test_only_those_who_have_no_outcome_are_tried_again(spool: Spool) -> None:
    spool.peer.rcpt = {f"late@{FAR}": "451 4.2.1 later", f"gone@{FAR}": "550 5.1.1 gone"}
    name = spool.take([BOB, f"late@{FAR}", f"gone@{FAR}"])
    spool.work()
    entry = spool.entry(name)
    assert (entry.recipients_done, entry.recipients_total) == (1, 3)
    spool.peer.rcpt = {}
    spool.later(minutes=16)
    spool.work()
    assert [taken.recipients for taken in spool.peer.taken] == [(BOB,), (f"late@{FAR}",)]
    outcomes = dict(Trace.objects.filter(file_name=name).values_list("recipient", "outcome"))
    assert outcomes == {BOB: "delivered", f"late@{FAR}": "delivered", f"gone@{FAR}": "bounced"}


def test_a_message_expires_with_a_report_after_its_last_attempt(spool: Spool) -> None:
    spool.settings(delay_notice_hours=0, expire_after_hours=2)
    name = spool.take(_no_host(spool))
    attempts = 0
    while Entry.objects.filter(file_name=name).exists():
        spool.work()
        attempts += 1
        assert attempts < 10
        spool.later(minutes=15)
    # At 0, 15, 45 and 105 minutes, and at the end of its lifetime.
    trace = Trace.objects.get(file_name=name)
    assert (trace.outcome, trace.attempts) == ("expired", 5)
    assert (trace.ended - trace.created).total_seconds() == pytest.approx(7200, abs=30)
    [message] = spool.mailbox()
    report = Report.of(message)
    assert (report.action, report.status) == ("failed", "5.4.7")
    assert report.final_recipient == "bob@dead.test"


def test_a_late_message_is_announced_exactly_once(spool: Spool) -> None:
    name = spool.take(_no_host(spool))
    notices = []
    for _ in range(12):
        spool.work()
        notices.append(len(spool.mailbox()))
        spool.later(minutes=91)
    # After the default of four hours: at the first attempt past it.
    assert notices[0] == 0
    assert notices[-1] == 1
    report = Report.of(spool.mailbox()[0])
    assert (report.action, report.status[0]) == ("delayed", "4")
    assert "Will-Retry-Until" in report.message.as_string()
    assert spool.entry(name).delay_notified


@pytest.mark.parametrize("notify", ["NEVER", "FAILURE", "SUCCESS"])
def test_no_delay_is_announced_to_those_who_did_not_ask(spool: Spool, notify: str) -> None:
    spool.take(_no_host(spool), notify=notify)
    spool.work()
    spool.later(hours=5)
    spool.work()
    assert spool.mailbox() == []


def test_dns_failures_in_a_row_have_a_limit_of_their_own(spool: Spool) -> None:
    spool.settings(dns_failure_limit=3)
    spool.dns.fail("broken.test", "SERVFAIL")
    name = spool.take("bob@broken.test")
    for number in (1, 2):
        spool.work()
        assert spool.entry(name).dns_failures == number
        spool.later(hours=1)
    spool.work()
    assert not Entry.objects.filter(file_name=name).exists()
    report = Report.of(spool.mailbox()[0])
    assert report.action == "failed"
    assert "gave no answer for broken.test" in report.diagnostic


def test_without_a_limit_dns_failures_are_like_any_other(spool: Spool) -> None:
    spool.dns.fail("broken.test", "SERVFAIL")
    name = spool.take("bob@broken.test")
    for _ in range(5):
        spool.work()
        spool.later(hours=2)
    assert spool.entry(name).attempts == 5


def test_another_failure_in_between_begins_the_count_of_dns_failures_anew(spool: Spool) -> None:
    spool.settings(dns_failure_limit=3)
    spool.dns.fail(FAR, "SERVFAIL")
    spool.peer.on["MAIL"] = "451 4.3.0 not now"
    name = spool.take()
    spool.work()
    assert spool.entry(name).dns_failures == 1
    del spool.dns._failures[FAR]
    spool.later(hours=2)
    spool.work()
    assert spool.entry(name).dns_failures == 0
    spool.dns.fail(FAR, "SERVFAIL")
    for number in (1, 2):
        spool.later(hours=2)
        spool.work()
        assert spool.entry(name).dns_failures == number


def test_each_attempt_begins_with_the_delivery_delay(spool: Spool) -> None:
    spool.settings(delivery_delay_seconds=30)
    spool.peer.on["MAIL"] = ["451 4.3.0 not now", "250 2.1.0 ok"]
    name = spool.take()
    spool.work()
    assert spool.entry(name).status == Status.DELIVERY_DELAY
    assert spool.peer.conversations == []
    spool.later(seconds=31)
    spool.work()
    entry = spool.entry(name)
    assert (entry.status, entry.attempts) == (Status.WAITING, 1)
    spool.later(minutes=16)
    spool.work()
    entry = spool.entry(name)
    assert (entry.status, entry.attempts) == (Status.DELIVERY_DELAY, 1)
    assert spool.minutes_to_go(name) == pytest.approx(0.5, abs=0.1)
    spool.later(seconds=31)
    spool.work()
    assert Entry.objects.count() == 0
    assert len(spool.peer.taken) == 1


def test_mail_for_a_resting_host_waits_with_the_reason_and_without_an_attempt(spool: Spool) -> None:
    spool.settings(dead_host_seconds=120)
    address = _no_host(spool)
    spool.take(address)
    spool.work()
    name = spool.take(address)
    spool.work()
    entry = spool.entry(name)
    assert entry.last_error.startswith(WAITS_FOR_HOST)
    assert (entry.status, entry.attempts) == (Status.WAITING, 0)
    assert spool.minutes_to_go(name) == pytest.approx(2, abs=0.2)
    assert Attempt.objects.filter(file_name=name).count() == 0


def test_a_rest_leaves_the_attempts_and_the_schedule_of_a_message_alone(spool: Spool) -> None:
    address = _no_host(spool)
    name = spool.take(address)
    spool.work()
    assert spool.entry(name).attempts == 1
    [rest] = backoff._rests.values()
    spool._clock.shift(timedelta(minutes=16))
    rest.until = time.monotonic() + 300
    spool.work()
    assert spool.entry(name).attempts == 1, "its host rests"
    assert spool.minutes_to_go(name) == pytest.approx(5, abs=0.2)
    spool.later(minutes=6)
    spool.work()
    assert spool.entry(name).attempts == 2
    assert spool.minutes_to_go(name) == pytest.approx(30, abs=0.2), "the second interval, as if nothing had been"


def test_what_is_put_off_counts_as_deferred_once_like_what_was_tried(spool: Spool) -> None:
    address = _no_host(spool)
    spool.take(address)
    spool.work()
    spool.take(address)
    for _ in range(3):
        [rest] = backoff._rests.values()
        rest.until = time.monotonic() + 600
        spool.work()
        spool._clock.shift(timedelta(minutes=20))
        assert _deferred() == 2
    spool.later(minutes=20)
    spool.work()
    assert _deferred() == 2


def _deferred() -> int:
    rollup.roll_up()
    counted = TrafficCount.objects.filter(kind=TrafficKind.DEFERRED_SENDER, key=ANN)
    return int(counted.aggregate(total=Sum("number"))["total"])


def test_a_message_that_waits_for_a_resting_host_expires_when_it_would_have(spool: Spool) -> None:
    spool.settings(expire_after_hours=1)
    address = _no_host(spool)
    name = spool.take(address)
    spool.work()
    for _ in range(5):
        [rest] = backoff._rests.values()
        spool._clock.shift(timedelta(minutes=20))
        rest.until = time.monotonic() + 600
        spool.work()
    assert not Entry.objects.filter(file_name=name).exists()
    assert Trace.objects.get(file_name=name).outcome == Outcome.EXPIRED
    assert len(spool.mailbox()) == 1


def test_what_waits_for_a_host_goes_when_it_is_back(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "WAKE_AT_ONCE", 2)
    monkeypatch.setattr(passes, "WAKE_SECONDS", 0.05)
    monkeypatch.setattr(passes, "LINGER_SECONDS", 1.0)
    address = _no_host(spool)
    tried = []
    for _ in range(5):
        backoff.forget()
        tried.append(spool.take(address))
        spool.work()
    put_off = [spool.take(address) for _ in range(3)]
    spool.work()
    spool.peer.on["MAIL"] = "450 4.7.1 greylisted"
    other = spool.take()
    spool.work()
    del spool.peer.on["MAIL"]
    assert [spool.entry(name).attempts for name in tried + put_off] == [1] * 5 + [0] * 3
    spool._clock.shift(timedelta(minutes=2))
    [rest] = backoff._rests.values()
    rest.until = time.monotonic() - 1
    with SmtpPeer("127.0.0.99", spool.peer.port) as back:
        spool.work()
        assert len(back.taken) == 8
    assert list(Entry.objects.values_list("file_name", flat=True)) == [other], "that one waits for something else"


def test_a_message_that_can_not_reach_ann_herself_is_reported_nowhere(spool: Spool) -> None:
    """A report that can't be delivered is not reported on in turn."""
    spool.peer.rcpt = {BOB: "550 5.1.1 no"}
    spool.take(sender=f"nobody@{FAR}")
    spool.peer.rcpt[f"nobody@{FAR}"] = "550 5.1.1 no such user"
    for _ in range(3):
        spool.work()
        spool.later(hours=1)
    assert Entry.objects.count() == 0
    assert spool.mailbox() == []
    assert sorted(Trace.objects.values_list("sender", "outcome")) == [("", "bounced"), (f"nobody@{FAR}", "bounced")]
    assert ANN not in "".join(spool.peer.commands)


def test_mail_that_was_not_sent_before_a_stop_is_free_at_once_and_has_no_attempt_counted(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.settings(max_per_destination=1)
    monkeypatch.setattr(passes, "DRAIN_SECONDS", 0.2)
    spool.peer.on["END"] = ["250 2.0.0 taken", HANG, "250 2.0.0 taken"]
    for _ in range(5):
        spool.take()
    stop = threading.Timer(1.0, passes.request_stop)
    stop.start()
    passes.run()
    stop.join()
    passes._stop.clear()
    assert list(Entry.objects.values_list("attempts", "leased_by")) == [(0, "")] * 4
    assert Entry.objects.due(timezone.now()).count() == 4
    spool.work()
    assert Entry.objects.count() == 0
    assert len(spool.peer.taken) == 5


@pytest.mark.parametrize("proved", [False, True], ids=["from the start", "after a message"])
def test_a_silent_host_with_much_mail_takes_no_room_from_others(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, proved: bool
) -> None:
    """Far more mail waits for it than may be in work at once."""
    monkeypatch.setattr(leases, "RENEW_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(transport, "STALLED_SECONDS", 0.5)
    monkeypatch.setattr(passes, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(passes, "LINGER_SECONDS", 2.0)
    spool.settings(max_deliveries=10, reply_timeout_seconds=40, max_per_destination=3)
    with SmtpPeer("127.0.0.72", spool.peer.port) as silent:
        spool.dns.add("silent.test", "A", "127.0.0.72")
        worker = threading.Thread(target=passes.run)
        worker.start()
        try:
            if proved:
                spool.take("bob@silent.test")
                wait_until(lambda: silent.taken, "the host has taken a message")
            silent.on["MAIL"] = HANG
            for _ in range(40):
                spool.take("bob@silent.test")
            wait_until(lambda: any("MAIL" in command for command in silent.commands[-1:]), "the host hangs")
            started = time.monotonic()
            for _ in range(10):
                spool.take()
            wait_until(lambda: len(spool.peer.taken) == 10, "the other host has its mail", 30)
            took = time.monotonic() - started
        finally:
            passes.request_stop()
            silent.__exit__()
            worker.join(20)
            passes._stop.clear()
    assert took < 20
    assert sum(one.commands[-1].startswith("MAIL") for one in silent.conversations if one.commands) <= 3


def test_when_all_in_work_waits_for_silent_hosts_they_are_given_up_before_leases_are_renewed(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_EVERY_SECONDS", 1000)
    monkeypatch.setattr(passes, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(passes, "LINGER_SECONDS", 2.0)
    monkeypatch.setattr(passes, "MAKE_WAY_SECONDS", 0.1)
    monkeypatch.setattr(capacity, "SILENT_SECONDS", 0.3)
    spool.settings(max_deliveries=1, reply_timeout_seconds=300)
    with SmtpPeer("127.0.0.72", spool.peer.port) as silent:
        silent.on["EHLO"] = HANG
        spool.dns.add("silent.test", "A", "127.0.0.72")
        for _ in range(25):
            spool.take("bob@silent.test")
        spool.take()
        worker = threading.Thread(target=passes.run)
        worker.start()
        try:
            wait_until(lambda: spool.peer.taken, "the other host has its mail", 60)
        finally:
            passes.request_stop()
            silent.__exit__()
            worker.join(20)
            passes._stop.clear()


def test_mail_that_is_due_does_not_wait_until_thousands_of_results_are_recorded(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "MOST_RECORDED", 3)
    recorded: list[int] = []
    visit = Rounds.visit

    def watched(rounds: Rounds, finished: Sequence[DeliveryReport], *rest: Any) -> Round:
        recorded.append(len(finished))
        return visit(rounds, finished, *rest)

    monkeypatch.setattr(Rounds, "visit", watched)
    address = _no_host(spool)
    for _ in range(10):
        spool.take(address)
    spool.work()
    assert sum(recorded) == 10
    assert max(recorded) == 3
