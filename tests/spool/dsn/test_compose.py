"""Composed notices, as mail programs and people read them."""

from __future__ import annotations

import email
from datetime import timedelta, timezone
from email import policy

import pytest
from flufl.bounce import all_failures
from hypothesis import given
from hypothesis import strategies as st

from spool.dsn.compose import LARGEST_RETURNED_BYTES, compose
from spool.dsn.parse import BouncedRecipient, recognise
from spool.dsn.report import Action, ReportedRecipient
from tests.spool.dsn.support import ARRIVAL, NOW, a_report, a_reported, assert_legal, groups, parsed, parts, text
from tests.support.messages import a_message

# Lone surrogates are what a reply of any bytes has after decoding with surrogateescape.
anything = st.text(st.characters(), max_size=400)
HOSTILE = "550 5.1.1 no\r\nSubject: injected\r\n\r\n--=_\0\x1b[31m \u202e\udcff" + "x" * 1200


def test_the_header_says_what_it_is_and_answers_nobody() -> None:
    message = parsed(compose(a_report(original_message_id="<1@example.org>"), a_message()).content)
    assert message["from"] == "Mail Delivery System <postmaster@mail.test>"
    assert message["to"] == "ann@example.org"
    assert message["subject"] == "Not delivered: Lunch on Friday"
    assert message["auto-submitted"] == "auto-replied"
    assert message["in-reply-to"] == message["references"] == "<1@example.org>"
    assert message["message-id"] == "<1.dsn@mail.test>"
    assert message["date"].datetime == NOW
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in parts(message.as_bytes())] == [
        "text/plain",
        "message/delivery-status",
        "message/rfc822",
    ]


def test_the_report_has_the_fields_of_rfc_3464() -> None:
    bob = a_reported(orcpt="rfc822;bob+2Btag@example.net", host="mx.example.net", last_attempt=NOW)
    about_message, about_bob = groups(compose(a_report(bob, envid="QQ+2B1"), a_message()).content)
    assert dict(about_message.items()) == {
        "Reporting-MTA": "dns; mail.test",
        "Original-Envelope-Id": "QQ+1",
        "Arrival-Date": "Mon, 02 Mar 2026 12:00:00 +0000",
        "X-Mailspool-File-Name": "01abc.eml",
    }
    assert dict(about_bob.items()) == {
        "Original-Recipient": "rfc822; bob+tag@example.net",
        "Final-Recipient": "rfc822; bob@example.net",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.example.net",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user here",
        "Last-Attempt-Date": "Fri, 06 Mar 2026 12:30:00 +0000",
    }


def test_the_text_says_who_said_what_and_what_to_do() -> None:
    content = compose(a_report(a_reported(host="mx.example.net")), a_message()).content
    assert (
        'Your message "Lunch on Friday", accepted on Mon, 02 Mar 2026 12:00:00 +0000, could not be delivered'
        " to the following recipients. bob@example.net mx.example.net answered: 550 5.1.1 no such user here"
        " What you can do: - Check the address for a typing error; the mailbox may no longer exist."
    ) in text(content)


def test_what_no_host_said_is_not_called_an_smtp_reply() -> None:
    bob = a_reported(reply="connection to mx.example.net timed out", host="mx.example.net")
    content = compose(a_report(bob), a_message()).content
    assert groups(content)[1]["diagnostic-code"] == "X-Mailspool; connection to mx.example.net timed out"
    assert "answered" not in text(content)


def test_what_we_refuse_ourselves_is_no_answer_of_a_host_and_has_advice_of_its_own() -> None:
    bob = a_reported(reply="The message was removed from the queue by the administrator", status="5.7.1")
    content = compose(a_report(bob), a_message()).content
    assert "remote-mta" not in groups(content)[1]
    assert groups(content)[1]["diagnostic-code"].startswith("X-Mailspool; The message was removed")
    assert "answered" not in text(content) and "the other side" not in text(content)
    assert "ask postmaster@" in text(content)
    no_such = compose(a_report(a_reported(reply="550 5.1.1 <bob>: no such mailbox here")), None).content
    assert groups(no_such)[1]["diagnostic-code"] == "X-Mailspool; 550 5.1.1 <bob>: no such mailbox here"


@pytest.mark.parametrize(
    ("host", "status", "reply", "advice"),
    [
        ("mx.example.net", "5.7.26", "550 5.7.26 unauthenticated", "can't make sure that the message comes from you"),
        ("mx.example.net", "5.7.1", "550 5.7.1 spam", "a rule of the other side"),
        ("mx.example.net", "5.4.1", "550 5.4.1 access denied", "has trouble of its own"),
        ("mx.example.net", "5.3.2", "521 5.3.2 no mail", "takes no mail, or none now"),
        ("", "5.4.4", "mx has no address in the DNS", "that domain takes no mail"),
        ("", "5.4.1", "connecting to mx.example.net: connection refused", "can't be reached"),
        ("", "5.6.7", "mx.example.net takes nothing beyond ASCII", "for another address"),
        ("", "5.3.0", "delivery failed", "ask postmaster@"),
        ("", "5.7.1", "only members may write to this list", "ask postmaster@"),
    ],
)
def test_the_advice_is_by_who_said_it(host: str, status: str, reply: str, advice: str) -> None:
    content = compose(a_report(a_reported(host=host, status=status, reply=reply)), None).content
    assert advice in text(content)


def test_a_host_that_put_a_message_off_to_the_end_is_not_said_to_be_out_of_reach() -> None:
    bob = a_reported(host="mx.example.net", status="5.4.7", reply="451 not now", expired=True)
    content = compose(a_report(bob), None).content
    assert "did not take the message at any time" in text(content) and "can't be reached" not in text(content)


def test_an_address_behind_an_alias_is_told_by_both_names() -> None:
    bob = a_reported(original="info@example.org")
    content = compose(a_report(bob), a_message()).content
    assert "bob@example.net (you wrote info@example.org)" in text(content)
    assert groups(content)[1]["original-recipient"] == "rfc822; info@example.org"


def test_an_address_literal_is_written_in_brackets() -> None:
    for host, written in (("192.0.2.1", "dns; [192.0.2.1]"), ("2001:db8::1", "dns; [2001:db8::1]"), ("mx one", None)):
        assert groups(compose(a_report(a_reported(host=host)), None).content)[1]["remote-mta"] == written


def test_dates_are_in_one_zone() -> None:
    report = a_report(arrival=ARRIVAL.astimezone(timezone(timedelta(hours=9))))
    assert groups(compose(report, None).content)[0]["arrival-date"] == "Mon, 02 Mar 2026 12:00:00 +0000"


def test_the_returned_message_is_what_came_in() -> None:
    original = a_message(body="one\r\n\r\n.two\r\n")
    content = compose(a_report(), original).content
    assert b"Content-Type: message/rfc822\r\n\r\n" + original + b"\r\n--" in content


@pytest.mark.parametrize(
    ("ret", "size", "action", "kind"),
    [
        ("", 1000, Action.FAILED, "message/rfc822"),
        ("FULL", 1000, Action.FAILED, "message/rfc822"),
        ("HDRS", 1000, Action.FAILED, "text/rfc822-headers"),
        ("", LARGEST_RETURNED_BYTES + 1, Action.FAILED, "text/rfc822-headers"),
        ("FULL", LARGEST_RETURNED_BYTES + 1, Action.FAILED, "text/rfc822-headers"),
        ("FULL", 1000, Action.DELAYED, "text/rfc822-headers"),
        ("FULL", 1000, Action.DELIVERED, "text/rfc822-headers"),
    ],
)
def test_the_message_goes_back_whole_or_as_its_header(ret: str, size: int, action: Action, kind: str) -> None:
    report = a_report(a_reported(action=action), ret=ret)
    content = compose(report, a_message(size=size)).content
    assert parts(content)[2].get_content_type() == kind
    assert b"Subject: Lunch on Friday\r\n" in content
    assert (b"brown fox" in content) == (kind == "message/rfc822")
    assert ("The header of your message is attached" in text(content)) == (kind != "message/rfc822")


def test_an_endless_header_is_cut() -> None:
    original = b"".join(b"X-Filler: %06d\r\n" % number for number in range(20_000)) + b"\r\nbody\r\n"
    content = compose(a_report(), original).content
    assert len(content) < LARGEST_RETURNED_BYTES + 3000
    assert_legal(content)


def test_an_eight_bit_message_goes_back_as_eight_bit() -> None:
    original = a_message(body="Grüße\r\n", headers=[("MIME-Version", "1.0"), ("Content-Transfer-Encoding", "8bit")])
    composed = compose(a_report(), original)
    assert composed.eight_bit and not composed.smtputf8
    assert parsed(composed.content)["content-transfer-encoding"] == "8bit"
    assert parts(composed.content)[2]["content-transfer-encoding"] == "8bit"
    assert original in composed.content


@pytest.mark.parametrize(
    "original",
    [
        a_message(body="x" * 999 + "\r\n"),
        a_message(body="a\0b\r\n"),
        a_message().replace(b"Subject: Lunch", b"Subject: L\xfcnch"),
        a_message(headers=[("X-Long", "x" * 2000)]),
    ],
    ids=["long line", "NUL", "8-bit header", "long header"],
)
def test_a_message_that_no_part_may_hold_goes_back_as_a_legal_header(original: bytes) -> None:
    composed = compose(a_report(), original)
    header = parts(composed.content)[2]
    assert header.get_content_type() == "text/rfc822-headers"
    assert header.get_payload(decode=True) == original[: original.index(b"\r\n\r\n") + 2]
    assert composed.content.isascii()
    assert_legal(composed.content)


def test_bare_line_ends_in_the_message_are_mended() -> None:
    content = compose(a_report(), b"Subject: x\n\na\rb\nc").content
    assert b"Subject: x\r\n\r\na\r\nb\r\nc\r\n--=_" in content


def test_a_boundary_is_chosen_that_the_message_does_not_hold() -> None:
    first = parsed(compose(a_report(), a_message()).content).get_boundary()
    content = compose(a_report(), a_message(body=f"--{first}--\r\nX-Evil: yes\r\n")).content
    assert parsed(content).get_boundary() != first
    assert len(parts(content)) == 3


def test_an_address_beyond_ascii_is_escaped_where_the_message_was_ascii() -> None:
    content = compose(a_report(a_reported("büb@example.net")), a_message()).content
    assert groups(content)[1]["final-recipient"] == r"utf-8; b\x{FC}b@example.net"
    assert parts(content)[1].get_content_type() == "message/delivery-status"
    assert "büb@example.net" in text(content)
    assert content.isascii()


def test_an_internationalised_message_gets_an_internationalised_report() -> None:
    bob = a_reported("büb@example.net", orcpt=r"utf-8;b\x{FC}b@example.net")
    report = a_report(bob, smtputf8=True, reverse_path="änn@example.org", subject="Grüße")
    composed = compose(report, a_message(sender="änn@example.org", subject="Grüße"))
    assert composed.smtputf8 and composed.eight_bit
    message = email.message_from_bytes(composed.content, policy=policy.SMTPUTF8)
    assert message.get_param("report-type") == "global-delivery-status"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/global-delivery-status",
        "message/global",
    ]
    assert "To: <änn@example.org>\r\n".encode() in composed.content
    assert "Final-Recipient: utf-8; büb@example.net\r\n".encode() in composed.content
    assert "Original-Recipient: utf-8; büb@example.net\r\n".encode() in composed.content


def test_an_internationalised_message_that_is_late_returns_its_header_as_such() -> None:
    report = a_report(a_reported("büb@example.net", Action.DELAYED), smtputf8=True)
    composed = compose(report, a_message(subject="Grüße"))
    assert b"Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n" in composed.content
    assert composed.eight_bit and not composed.smtputf8


def test_a_domain_beyond_ascii_is_written_in_a_labels() -> None:
    content = compose(a_report(reverse_path="ann@bücher.example"), a_message()).content
    assert parsed(content)["to"] == "ann@xn--bcher-kva.example"
    assert content.isascii()


def test_a_reverse_path_that_no_header_can_hold_is_left_to_the_envelope() -> None:
    content = compose(a_report(reverse_path="a\r\nBcc: evil@example.com"), a_message()).content
    assert parsed(content)["to"] == "undisclosed-recipients:;"
    assert b"Bcc" not in content


@pytest.mark.parametrize("value", ["", "no id", "<a@b\r\nX-Evil: 1>", "<" + "x" * 2000 + "@b>", "<ä@b>"])
def test_a_message_id_that_is_none_is_not_referred_to(value: str) -> None:
    message = parsed(compose(a_report(original_message_id=value), a_message()).content)
    assert "in-reply-to" not in message and "x-evil" not in message


def test_a_thousand_recipients_are_all_in_the_report_and_some_in_the_text() -> None:
    report = a_report(*(a_reported(f"user{number}@example.net") for number in range(1000)))
    content = compose(report, a_message()).content
    assert len(groups(content)) == 1001
    assert "and 900 more" in text(content)
    assert len(recognise(content, "") or ()) == 1000


def test_independent_readers_find_the_failure() -> None:
    content = compose(a_report(a_reported(host="mx.example.net")), a_message()).content
    assert recognise(content, "") == (BouncedRecipient("bob@example.net", "5.1.1", "550 5.1.1 no such user here"),)
    temporary, permanent = all_failures(email.message_from_bytes(content))
    assert (temporary, permanent) == (set(), {b"bob@example.net"})


@pytest.mark.parametrize("action", [Action.DELIVERED, Action.RELAYED, Action.EXPANDED])
def test_no_reader_takes_a_success_for_a_failure(action: Action) -> None:
    content = compose(a_report(a_reported(action=action, status="2.0.0", reply="250 OK")), a_message()).content
    assert recognise(content, "") is None
    assert all_failures(email.message_from_bytes(content)) == (set(), set())


def test_a_delay_is_temporary_to_an_independent_reader() -> None:
    late = a_reported(action=Action.DELAYED, status="4.4.1", reply="451 4.4.1 no answer", retry_until=NOW)
    content = compose(a_report(late), a_message()).content
    assert all_failures(email.message_from_bytes(content)) == ({b"bob@example.net"}, set())


def test_a_hostile_reply_adds_no_line_and_no_part() -> None:
    content = compose(a_report(a_reported(reply=HOSTILE)), a_message()).content
    assert_legal(content)
    assert content.isascii()
    assert len(parts(content)) == 3
    assert parsed(content).get_all("subject") == ["Not delivered: Lunch on Friday"]
    assert groups(content)[1].keys() == ["Final-Recipient", "Action", "Status", "Diagnostic-Code"]


recipients = st.builds(
    a_reported,
    anything | st.just("büb@example.net"),
    st.sampled_from(Action),
    reply=anything | st.just(HOSTILE),
    host=anything,
    original=anything,
    orcpt=anything | anything.map(lambda text: f"rfc822;{text}"),
    expired=st.booleans(),
    retry_until=st.just(NOW),
)


@given(
    recipient=recipients,
    subject=anything | st.just(HOSTILE),
    envid=anything,
    file_name=anything,
    smtputf8=st.booleans(),
    sender=anything | st.sampled_from(["änn@example.org", '"a  b"@example.org', "ann@bücher.example"]),
)
def test_no_value_breaks_a_notice(
    recipient: ReportedRecipient, subject: str, envid: str, file_name: str, smtputf8: bool, sender: str
) -> None:
    report = a_report(
        recipient,
        subject=subject,
        envid=envid,
        reverse_path=sender,
        file_name=file_name,
        smtputf8=smtputf8,
        original_message_id=subject,
    )
    composed = compose(report, a_message())
    assert_legal(composed.content)
    header = composed.content[: composed.content.index(b"\r\n\r\n")]
    assert composed.smtputf8 or header.isascii()
    assert composed.eight_bit or composed.content.isascii()
    message = parsed(composed.content)
    assert [name.lower() for name in list(message)[:5]] == ["date", "from", "to", "subject", "message-id"]
    assert {name.lower() for name in list(message)[5:]} <= {
        "in-reply-to",
        "references",
        "auto-submitted",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    }
    assert len(parts(composed.content)) == 3


@given(original=st.binary(max_size=3000), smtputf8=st.booleans(), ret=st.sampled_from(["", "FULL", "HDRS"]))
def test_any_original_goes_back_in_a_legal_message(original: bytes, smtputf8: bool, ret: str) -> None:
    composed = compose(a_report(smtputf8=smtputf8, ret=ret), original)
    assert_legal(composed.content)
    assert composed.eight_bit or composed.content.isascii()
    assert not composed.smtputf8
    # What is inside the returned message is not ours to answer for; the frame around it is.
    message = email.message_from_bytes(composed.content, policy=policy.default)
    assert len(list(message.iter_parts())) == 3


@given(anything, anything)
def test_composing_is_the_same_for_the_same_values(reply: str, subject: str) -> None:
    report = a_report(a_reported(reply=reply), subject=subject)
    assert compose(report, a_message(test_id="1")) == compose(report, a_message(test_id="1"))
