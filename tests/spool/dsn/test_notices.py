"""Which notices are owed, and to whom."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from spool.dsn.parse import recognise
from spool.models.entry import Origin
from spool.models.recipient import Kind, Outcome
from tests.spool.dsn.support import NOW, POSTMASTER, a_result, an_entry, groups, notices, parts, text
from tests.support.messages import a_message

UNTIL = NOW + timedelta(days=1)


def test_only_a_host_that_answered_is_named_for_it(tmp_path: Path) -> None:
    entry = an_entry(tmp_path)
    (notice,) = notices(entry, [a_result(entry, answered=True)])
    assert b"Remote-MTA: dns; mx.example.net" in notice.content
    assert b"Diagnostic-Code: smtp; 550 5.1.1" in notice.content
    (notice,) = notices(entry, [a_result(entry)])
    assert b"Remote-MTA" not in notice.content and b"Diagnostic-Code: X-Mailspool; 550 5.1.1" in notice.content


def test_what_had_to_stay_secret_on_its_way_does_not_come_back_whole(tmp_path: Path) -> None:
    for wish, kind in (("", "message/rfc822"), ("optional", "message/rfc822"), ("required", "text/rfc822-headers")):
        entry = an_entry(tmp_path, tls_wish=wish, ret="FULL")
        (notice,) = notices(entry, [a_result(entry)])
        assert parts(notice.content)[2].get_content_type() == kind


def test_all_failed_recipients_share_one_notice(tmp_path: Path) -> None:
    entry = an_entry(tmp_path, to=["bob@example.net", "cy@example.net"])
    (notice,) = notices(entry, [a_result(entry), a_result(entry, Outcome.EXPIRED, "421 try later", index=1)])
    assert notice.to == "ann@example.org"
    assert notice.recipients == ("bob@example.net", "cy@example.net")
    assert [group["action"] for group in groups(notice.content)[1:]] == ["failed", "failed"]


def test_nothing_is_sent_about_mail_from_the_null_sender(tmp_path: Path) -> None:
    entry = an_entry(tmp_path, sender="")
    assert notices(entry, [a_result(entry)]) == []


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS", "DELAY", "SUCCESS,DELAY"])
def test_a_failure_is_not_told_to_who_did_not_ask_for_it(tmp_path: Path, notify: str) -> None:
    entry = an_entry(tmp_path, notify=notify)
    assert notices(entry, [a_result(entry)]) == []


@pytest.mark.parametrize("outcome", [Outcome.REMOVED, Outcome.QUARANTINED])
def test_what_an_administrator_or_a_scanner_took_away_is_not_told(tmp_path: Path, outcome: Outcome) -> None:
    entry = an_entry(tmp_path, notify="SUCCESS,FAILURE,DELAY")
    assert notices(entry, [a_result(entry, outcome)]) == []


def test_success_is_told_only_when_asked_for(tmp_path: Path) -> None:
    entry = an_entry(tmp_path)
    assert notices(entry, [a_result(entry, Outcome.DELIVERED, "250 2.0.0 OK")]) == []


def test_local_delivery_is_told_as_delivered_without_the_place(tmp_path: Path) -> None:
    entry = an_entry(tmp_path, kind=Kind.LOCAL, notify="SUCCESS")
    (notice,) = notices(entry, [a_result(entry, Outcome.DELIVERED, "stored in /srv/maildirs/bob", host="maildir")])
    assert groups(notice.content)[1]["action"] == "delivered"
    assert groups(notice.content)[1]["status"] == "2.0.0"
    assert b"/srv" not in notice.content
    assert "was delivered" in text(notice.content)


def test_a_next_hop_without_dsn_makes_it_relayed(tmp_path: Path) -> None:
    entry = an_entry(tmp_path, notify="SUCCESS")
    (notice,) = notices(entry, [a_result(entry, Outcome.DELIVERED, "250 2.1.5 Queued as 1234")])
    assert groups(notice.content)[1]["action"] == "relayed"
    assert groups(notice.content)[1]["status"] == "2.1.5"


def test_a_next_hop_that_took_over_the_duty_leaves_us_none(tmp_path: Path) -> None:
    entry = an_entry(tmp_path, notify="SUCCESS")
    assert notices(entry, [a_result(entry, Outcome.DELIVERED, "250 OK", relayed=True)]) == []


@pytest.mark.parametrize("notify", ["", "DELAY", "FAILURE,DELAY"])
def test_a_late_message_is_told_with_the_time_when_tries_end(tmp_path: Path, notify: str) -> None:
    entry = an_entry(tmp_path, notify=notify)
    (notice,) = notices(entry, [a_result(entry, Outcome.PENDING, "451 4.7.1 greylisted")], delayed_until=UNTIL)
    group = groups(notice.content)[1]
    assert (group["action"], group["status"]) == ("delayed", "4.7.1")
    assert group["will-retry-until"] == "Sat, 07 Mar 2026 12:30:00 +0000"
    assert "need not send it again" in text(notice.content)
    assert recognise(notice.content, "") is None


@pytest.mark.parametrize("notify", ["NEVER", "FAILURE", "SUCCESS"])
def test_a_late_message_is_not_told_to_who_did_not_ask(tmp_path: Path, notify: str) -> None:
    entry = an_entry(tmp_path, notify=notify)
    assert notices(entry, [a_result(entry, Outcome.PENDING, "451 later")], delayed_until=UNTIL) == []


def test_a_pending_recipient_is_not_told_before_it_is_late(tmp_path: Path) -> None:
    entry = an_entry(tmp_path)
    assert notices(entry, [a_result(entry, Outcome.PENDING, "451 later")]) == []


def test_failure_delay_and_success_are_three_notices(tmp_path: Path) -> None:
    entry = an_entry(tmp_path, to=["a@x.test", "b@x.test", "c@x.test"], notify="SUCCESS,FAILURE,DELAY")
    results = [
        a_result(entry, Outcome.DELIVERED, "250 OK"),
        a_result(entry, Outcome.PENDING, "451 later", index=1),
        a_result(entry, Outcome.BOUNCED, index=2),
    ]
    made = notices(entry, results, delayed_until=UNTIL)
    assert [notice.recipients for notice in made] == [("c@x.test",), ("b@x.test",), ("a@x.test",)]
    assert len({notice.message_id for notice in made}) == 3


def test_an_expired_message_reads_differently_from_a_refused_one(tmp_path: Path) -> None:
    entry = an_entry(tmp_path, attempts=22)
    (refused,) = notices(entry, [a_result(entry, Outcome.BOUNCED)])
    (expired,) = notices(entry, [a_result(entry, Outcome.EXPIRED, "452 4.2.2 mailbox full")])
    assert groups(refused.content)[1]["status"] == "5.1.1"
    assert groups(expired.content)[1]["status"] == "5.4.7"
    assert "452 4.2.2 mailbox full" in groups(expired.content)[1]["diagnostic-code"]
    assert "tried 23 times in 4 days" in text(expired.content)
    assert "The mailbox is full" in text(expired.content)
    assert "tried" not in text(refused.content)


@pytest.mark.parametrize(
    ("reply", "status_code", "status"),
    [
        ("550 5.7.26 unauthenticated", "", "5.7.26"),
        ("550 no enhanced code", "", "5.0.0"),
        ("550 4.1.1 of another class", "", "5.0.0"),
        ("550 5.1.1 x", "5.2.1", "5.2.1"),
        ("", "", "5.0.0"),
        ("the host has no address", "5.4.4", "5.4.4"),
        ("550 5.1.1 x", "rubbish", "5.1.1"),
        ("550-5.7.1 two\r\n550 5.7.1 lines", "", "5.7.1"),
        ("550 mail from 5.1.1.7", "", "5.0.0"),
    ],
)
def test_the_status_is_the_results_own_or_that_of_the_reply(
    tmp_path: Path, reply: str, status_code: str, status: str
) -> None:
    entry = an_entry(tmp_path)
    (notice,) = notices(entry, [a_result(entry, reply=reply, status_code=status_code)])
    assert groups(notice.content)[1]["status"] == status


def test_the_message_is_read_only_when_there_is_something_to_tell(tmp_path: Path) -> None:
    def read() -> bytes:
        raise AssertionError("read for nothing")

    entry = an_entry(tmp_path, notify="NEVER")
    assert notices(entry, [a_result(entry)], read=read) == []


def test_a_message_whose_file_is_gone_is_still_told(tmp_path: Path) -> None:
    entry = an_entry(tmp_path)
    entry.path.unlink()
    (notice,) = notices(entry, [a_result(entry)])
    assert recognise(notice.content, "") is not None
    assert "attached" not in text(notice.content)


def test_a_postmaster_is_told_of_mail_that_a_person_wrote(tmp_path: Path) -> None:
    entry = an_entry(tmp_path, sender=POSTMASTER)
    assert len(notices(entry, [a_result(entry)])) == 1


@pytest.mark.parametrize("header", [("Auto-Submitted", "auto-replied"), ("auto-submitted", "auto-generated")])
def test_a_postmaster_is_not_told_of_automatic_mail(tmp_path: Path, header: tuple[str, str]) -> None:
    content = a_message(sender=POSTMASTER, headers=[header])
    entry = an_entry(tmp_path, sender="Postmaster@mail.test", content=content)
    assert notices(entry, [a_result(entry)]) == []


def test_a_postmaster_is_not_told_of_forwarded_mail(tmp_path: Path) -> None:
    entry = an_entry(tmp_path, sender=POSTMASTER)
    entry.origin = Origin.FORWARD.value
    assert notices(entry, [a_result(entry)]) == []


def test_the_same_attempt_makes_the_same_notice(tmp_path: Path) -> None:
    entry = an_entry(tmp_path)
    first = notices(entry, [a_result(entry)])
    assert notices(entry, [a_result(entry)]) == first
    entry.attempts += 1
    assert notices(entry, [a_result(entry)])[0].message_id != first[0].message_id


def test_a_file_that_can_not_be_read_costs_only_the_quotation(tmp_path: Path) -> None:
    entry = an_entry(tmp_path)
    entry.path.unlink()
    entry.path.mkdir()
    (notice,) = notices(entry, [a_result(entry)])
    assert len(groups(notice.content)) == 2
