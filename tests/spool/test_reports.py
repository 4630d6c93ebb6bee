"""Delivery status notifications as the people who get them see them, from the first attempt on."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from flufl.bounce import scan_message

from spool.models import Entry, ReceivedBounce, Trace
from tests.interop.world import Report
from tests.spool.passing import ANN, FAR, HERE, Spool
from tests.support.messages import a_message

BOB, CARL, DAN, EVE = (f"{user}@{FAR}" for user in ("bob", "carl", "dan", "eve"))


def groups_of(message: EmailMessage) -> dict[str, dict[str, str]]:
    """The fields of each recipient of a report."""
    _, status, _ = message.iter_parts()
    groups = list(status.iter_parts())[1:]  # type: ignore[attr-defined]
    return {
        group["Final-Recipient"].partition(";")[2].strip(): {name: str(value) for name, value in group.items()}
        for group in groups
    }


def test_a_report_names_those_who_failed_and_why_and_only_them(spool: Spool) -> None:
    spool.peer.rcpt = {CARL: "550 5.1.1 no such user", DAN: "451 4.2.1 later", EVE: "554 5.7.1 go away"}
    spool.take([BOB, CARL, DAN, EVE], envid="abc+2B1")
    spool.work()
    [message] = spool.mailbox()
    groups = groups_of(message)
    assert set(groups) == {CARL, EVE}
    assert {group["Action"] for group in groups.values()} == {"failed"}
    assert groups[CARL]["Status"] == "5.1.1"
    assert groups[CARL]["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert groups[EVE]["Remote-MTA"] == f"dns; mx.{FAR}"
    assert "Original-Envelope-Id: abc+1" in message.as_string()
    assert scan_message(message) == {CARL.encode(), EVE.encode()}
    text = message.get_body()
    assert text is not None
    for words in (CARL, "no such user", EVE, "go away"):
        assert words in text.get_content()


@pytest.mark.parametrize(
    ("notify", "reports"),
    [("", 1), ("FAILURE", 1), ("FAILURE,DELAY", 1), ("SUCCESS,FAILURE", 1), ("NEVER", 0), ("DELAY", 0), ("SUCCESS", 0)],
)
def test_a_failure_is_reported_to_those_who_want_to_know(spool: Spool, notify: str, reports: int) -> None:
    spool.peer.rcpt = {BOB: "550 5.1.1 no such user"}
    spool.take(notify=notify)
    spool.work()
    assert len(spool.mailbox()) == reports
    # Reported or not, the outcome is on record.
    assert Trace.objects.get(recipient=BOB).outcome == "bounced"


@pytest.mark.parametrize("dsn", [True, False], ids=["host with DSN", "host without"])
def test_a_success_is_reported_by_whoever_is_the_last_to_know(spool: Spool, dsn: bool) -> None:
    if not dsn:
        spool.peer.features.remove("DSN")
    spool.take(notify="SUCCESS")
    spool.work()
    if dsn:
        assert spool.mailbox() == []
    else:
        report = Report.of(spool.mailbox()[0])
        assert (report.action, report.status) == ("relayed", "2.0.0")


def test_failure_and_success_of_one_message_are_two_reports(spool: Spool) -> None:
    spool.peer.features.remove("DSN")
    spool.peer.rcpt = {CARL: "550 5.1.1 no such user"}
    spool.take([BOB, CARL], notify="SUCCESS,FAILURE")
    spool.work()
    found = {Report.of(message).action: set(groups_of(message)) for message in spool.mailbox()}
    assert found == {"failed": {CARL}, "relayed": {BOB}}


def test_mail_from_the_null_sender_is_never_reported_on(spool: Spool) -> None:
    spool.peer.rcpt = {BOB: "550 5.1.1 no such user"}
    spool.take(sender="", notify="SUCCESS,FAILURE,DELAY")
    spool.work()
    assert Entry.objects.count() == 0
    assert list(Trace.objects.values_list("recipient", "outcome")) == [(BOB, "bounced")]


def test_a_report_has_the_null_sender_and_asks_for_no_reports(spool: Spool) -> None:
    spool.peer.rcpt = {BOB: "550 5.1.1 no such user"}
    spool.take(sender=CARL)
    spool.work()
    [taken] = spool.peer.taken
    assert taken.recipients == (CARL,)
    assert taken.mail.startswith("MAIL FROM:<> ")
    assert f"RCPT TO:<{CARL}> NOTIFY=NEVER" in spool.peer.commands


def test_a_report_on_a_large_message_is_small(spool: Spool) -> None:
    spool.peer.rcpt = {BOB: "550 5.1.1 no such user"}
    spool.take(content=a_message(BOB, ANN, subject="The long one", size=8_000_000))
    spool.work()
    [report] = spool.mailbox()
    assert len(report.as_bytes()) < 20_000
    returned = list(report.iter_parts())[2]
    assert returned.get_content_type() == "text/rfc822-headers"
    assert "The long one" in returned.get_content()


def test_a_report_on_a_thousand_recipients_stays_within_bounds(spool: Spool) -> None:
    spool.peer.on["MAIL"] = "550 5.7.1 " + "we do not take your mail " * 15
    spool.take([f"user{number}@{FAR}" for number in range(1000)])
    spool.work()
    [message] = spool.mailbox()
    assert len(groups_of(message)) == 1000
    assert len(message.as_bytes()) < 2_000_000


def test_more_failures_than_one_report_can_hold_are_several_reports(spool: Spool) -> None:
    spool.peer.on["MAIL"] = "550 5.7.1 no"
    to = [f"user{number}@{FAR}" for number in range(2500)]
    spool.take(to)
    spool.work()
    reports = spool.mailbox()
    assert sorted(len(groups_of(message)) for message in reports) == [500, 1000, 1000]
    assert {address for message in reports for address in groups_of(message)} == set(to)
    assert len({message["Message-ID"] for message in reports}) == 3


REPORT = (
    f"From: MAILER-DAEMON@mx.{FAR}\r\nTo: {ANN}\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
    f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.{FAR}\r\n\r\n"
    f"Final-Recipient: rfc822; {BOB}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    f"Final-Recipient: rfc822; {CARL}\r\nAction: failed\r\nStatus: 5.2.1\r\n\r\n--b--\r\n"
).encode()


def test_a_report_that_comes_in_is_counted_once_for_user_and_domain(spool: Spool) -> None:
    spool.take([BOB, CARL])
    spool.work()
    for _ in range(3):
        spool.take_for_us(REPORT)
        spool.work()
    rows = ReceivedBounce.objects.order_by("id").values_list("user", "domain", "failed_recipient", "status")
    assert list(rows) == [(ANN, HERE, BOB, "5.1.1"), (ANN, HERE, CARL, "5.2.1")]
    assert len(spool.mailbox()) == 3


def test_a_report_on_what_nobody_sent_arrives_and_counts_for_nobody(spool: Spool) -> None:
    spool.take_for_us(REPORT)
    spool.work()
    assert ReceivedBounce.objects.count() == 0
    assert len(spool.mailbox()) == 1


def test_our_own_report_to_our_own_user_counts_too(spool: Spool) -> None:
    spool.peer.rcpt = {BOB: "550 5.1.1 no such user"}
    spool.take()
    spool.work()
    [row] = ReceivedBounce.objects.all()
    assert (row.user, row.failed_recipient, row.status) == (ANN, BOB, "5.1.1")


def test_a_report_on_a_delay_is_no_bounce(spool: Spool) -> None:
    spool.peer.rcpt = {BOB: "451 4.2.1 later"}
    spool.take()
    spool.work()
    spool.later(hours=5)
    spool.work()
    assert Report.of(spool.mailbox()[0]).action == "delayed"
    assert ReceivedBounce.objects.count() == 0
