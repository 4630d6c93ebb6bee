"""Counting the reports of undelivered mail that come back to our users and lists."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from accounts.addresses import other_key
from accounts.models import Domain
from mailspool.home import Home
from spool.delivery import bounces
from spool.message.envelope import LeasedEntry
from spool.models.bounce import ReceivedBounce
from spool.models.entry import Origin
from spool.models.recipient import Kind, Outcome
from spool.models.trace import Trace
from tests.spool.delivery_local.conftest import NOW, a_list, a_user, an_entry
from tests.support.messages import a_message

pytestmark = pytest.mark.django_db

REPORT = (
    b"From: MAILER-DAEMON@mx.example.net\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
    b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n"
    b"Final-Recipient: rfc822; dead@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--b--\r\n"
)


@pytest.fixture(autouse=True)
def _places(home: Home, domain: Domain) -> None:
    a_user(domain)
    a_list(domain)


def counted(entry: LeasedEntry) -> list[ReceivedBounce]:
    [found] = bounces.count([(entry, entry.recipients)], NOW)
    return found


def sent(to: str = "dead@example.net", by: str = "ann@example.org", **fields: object) -> Trace:
    """Something that went out, and was accepted."""
    values: dict[str, object] = {
        "file_name": "sent.eml",
        "kind": Kind.REMOTE,
        "outcome": Outcome.DELIVERED,
        "size_bytes": 1,
        "attempts": 1,
        "created": NOW - timedelta(hours=1),
        "ended": NOW - timedelta(minutes=59),
    }
    return Trace.objects.create(
        sender=by, sender_key=other_key(by), recipient=to, recipient_key=other_key(to), **values | fields
    )


def a_report(*failed: str) -> bytes:
    groups = "".join(f"Final-Recipient: rfc822; {one}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n" for one in failed)
    return REPORT.partition(b"Final-Recipient")[0] + groups.encode() + b"--b--\r\n"


def test_a_report_to_a_user_counts_for_the_user(spooled: Path) -> None:
    line = sent()
    [bounce] = counted(an_entry(spooled, sender="", content=REPORT))
    assert (bounce.user, bounce.domain) == ("ann@example.org", "example.org")
    assert (bounce.failed_recipient, bounce.status) == ("dead@example.net", "5.1.1")
    assert "no such user" in bounce.diagnostic
    assert bounce.trace_id == line.id
    bounce.save()


def test_a_forged_report_counts_for_nobody_who_sent_nothing(spooled: Path, django_assert_max_num_queries: Any) -> None:
    sent("other@example.net")
    sent(by="bob@example.org")
    sent(outcome=Outcome.REMOVED)
    sent("cy@example.org", kind=Kind.LOCAL)
    sent(ended=NOW - timedelta(days=20))
    entry = an_entry(
        spooled,
        sender="",
        content=a_report("dead@example.net", "cy@example.org", *map("u{}@example.net".format, range(900))),
    )
    counted(entry)
    with django_assert_max_num_queries(2):
        assert counted(entry) == []


def test_a_message_is_returned_once_however_many_reports_say_so(spooled: Path) -> None:
    sent()
    sent(ended=NOW)
    entries = [an_entry(spooled, sender="", content=a_report("dead@example.net", "Dead@Example.net")) for _ in range(3)]
    found = bounces.count([(entry, entry.recipients) for entry in entries], NOW)
    assert [len(some) for some in found] == [1, 1, 0]
    ReceivedBounce.objects.bulk_create(bounce for some in found for bounce in some)
    assert counted(entries[0]) == []


@pytest.mark.parametrize(
    ("to", "by"), [("Dead@Example.net", "Ann@EXAMPLE.org"), ("dead@EXAMPLE.net", "ann@example.org")]
)
def test_how_addresses_are_written_makes_no_difference(spooled: Path, to: str, by: str) -> None:
    sent(to, by)
    assert len(counted(an_entry(spooled, sender="", content=REPORT))) == 1


def test_what_went_out_by_an_alias_or_a_tag_comes_back_to_it(spooled: Path) -> None:
    sent(by="ann+shop@example.org")
    assert counted(an_entry(spooled, sender="", content=REPORT)) == []
    [bounce] = counted(an_entry(spooled, sender="", content=REPORT, original="ann+shop@example.org"))
    assert bounce.user == "ann@example.org"


def test_a_report_that_names_the_address_that_was_written_first_is_about_where_it_led(spooled: Path) -> None:
    sent("dead@example.net", original="sales@example.org")
    report = REPORT.replace(b"Action", b"Original-Recipient: rfc822; sales@example.org\r\nAction")
    [bounce] = counted(an_entry(spooled, sender="", content=report))
    assert bounce.failed_recipient == "dead@example.net"


def test_a_strangers_mail_that_was_sent_on_is_not_what_its_sender_sent(spooled: Path) -> None:
    sent(client_ip="203.0.113.9", original="cy@example.org")
    assert counted(an_entry(spooled, sender="", content=REPORT)) == []
    sent(client_ip="203.0.113.9", original="cy@example.org", auth_user="ann@example.org")
    assert len(counted(an_entry(spooled, sender="", content=REPORT))) == 1


def test_a_report_to_a_lists_bounce_address_counts_for_the_list(spooled: Path) -> None:
    sent(by="news-bounces@example.org", client_ip="203.0.113.9")
    [bounce] = counted(an_entry(spooled, "news-bounces@example.org", sender="", content=REPORT))
    assert bounce.user == "news@example.org"
    [bounce] = counted(an_entry(spooled, sender="", content=REPORT, original="news-bounces@example.org"))
    assert bounce.user == "news@example.org"


def test_a_report_with_a_reverse_path_counts_too(spooled: Path) -> None:
    sent()
    assert len(counted(an_entry(spooled, sender="bounces@example.net", content=REPORT))) == 1


def test_a_report_counts_at_the_first_attempt_only(spooled: Path) -> None:
    sent()
    assert counted(an_entry(spooled, sender="", content=REPORT, attempts=1)) == []


def test_a_report_that_is_forwarded_does_not_count_again(spooled: Path) -> None:
    sent()
    assert counted(an_entry(spooled, sender="", content=REPORT, origin=Origin.FORWARD.value)) == []


def test_ordinary_mail_counts_for_nothing_and_asks_nothing(spooled: Path, django_assert_num_queries: Any) -> None:
    entries = [an_entry(spooled, content=a_message()), an_entry(spooled, sender="", content=a_message())]
    with django_assert_num_queries(0):
        assert bounces.count([(entry, entry.recipients) for entry in entries], NOW) == [[], []]


def test_a_missing_file_counts_for_nothing(spooled: Path) -> None:
    entry = an_entry(spooled, sender="", content=REPORT)
    entry.path.unlink()
    assert counted(entry) == []
