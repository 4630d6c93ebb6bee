"""Counting the reports of undelivered mail that come back to our users and lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts.models import Domain
from mailspool.home import Home
from spool.delivery.local import count_bounces
from spool.envelope import LeasedEntry
from spool.models.bounce import ReceivedBounce
from spool.models.entry import Origin
from tests.spool.delivery_local.conftest import a_list, a_user, an_entry
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
    [found] = count_bounces([(entry, entry.recipients)])
    return found


def test_a_report_to_a_user_counts_for_the_user(spooled: Path) -> None:
    [bounce] = counted(an_entry(spooled, sender="", content=REPORT))
    assert (bounce.user, bounce.domain) == ("ann@example.org", "example.org")
    assert (bounce.failed_recipient, bounce.status) == ("dead@example.net", "5.1.1")
    assert "no such user" in bounce.diagnostic
    bounce.save()


def test_a_report_to_a_lists_bounce_address_counts_for_the_list(spooled: Path) -> None:
    [bounce] = counted(an_entry(spooled, "news-bounces@example.org", sender="", content=REPORT))
    assert bounce.user == "news@example.org"
    [bounce] = counted(an_entry(spooled, sender="", content=REPORT, original="news-bounces@example.org"))
    assert bounce.user == "news@example.org"


def test_a_report_with_a_reverse_path_counts_too(spooled: Path) -> None:
    assert len(counted(an_entry(spooled, sender="bounces@example.net", content=REPORT))) == 1


def test_a_report_counts_at_the_first_attempt_only(spooled: Path) -> None:
    assert counted(an_entry(spooled, sender="", content=REPORT, attempts=1)) == []


def test_a_report_that_is_forwarded_does_not_count_again(spooled: Path) -> None:
    assert counted(an_entry(spooled, sender="", content=REPORT, origin=Origin.FORWARD.value)) == []


def test_ordinary_mail_counts_for_nothing_and_asks_nothing(spooled: Path, django_assert_num_queries: Any) -> None:
    entries = [an_entry(spooled, content=a_message()), an_entry(spooled, sender="", content=a_message())]
    with django_assert_num_queries(0):
        assert count_bounces([(entry, entry.recipients) for entry in entries]) == [[], []]


def test_a_missing_file_counts_for_nothing(spooled: Path) -> None:
    entry = an_entry(spooled, sender="", content=REPORT)
    entry.path.unlink()
    assert counted(entry) == []
