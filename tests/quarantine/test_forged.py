"""Results and scores that a sender wrote in our name do not reach a mailbox; what others wrote does."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quarantine.models import CheckKind
from quarantine.spam.forged import authserv_id, forged_in
from security import lists
from security.models import WhitelistEntry
from spool.delivery.trace_headers import fields_of, without_fields
from spool.message.header import split as split_header
from tests.quarantine.spamming import a_check, a_mail, from_outside, signed
from tests.spool.passing import ANN, Spool
from tests.support.smtp_peer import SmtpPeer

LIES = (
    b"Authentication-Results: mail.test; spf=pass smtp.mailfrom=bank.test\r\n"
    b'Authentication-Results: "mail.test"; dmarc=pass\r\n'
    b"X-Spam-Status: No, score=-100\r\nX-SPAM-FLAG: NO\r\nX-Spam-Score:\r\n -100\r\nX-Spam-Level: none\r\n"
)
# Many programs take a space before the colon for the end of the header; others read on.
ODD_LIES = (
    b"authentication-results : (of (nested) \\) course)\r\n MAIL.test 1;\r\n\tdkim=pass header.d=bank.test\r\n"
) + LIES
OTHERS = (
    b"Authentication-Results: gateway.far.test; spf=pass\r\n smtp.mailfrom=mail.test\r\n"
    b"Authentication-Results: mail.test.far.test; spf=pass\r\n"
    b"X-Authentication-Results: mail.test; spf=pass\r\nX-Spam-Report: none of ours\r\n"
)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("mail.test; spf=pass", "mail.test"),
        (" Mail.TEST 1 ; none", "mail.test"),
        ("mail.test(x);", "mail.test"),
        ('"mail.test" 1; none', "mail.test"),
        ('"mail\\.test";', "mail.test"),
        ("(a) (b(c)) mail.test; x", "mail.test"),
        ("(\\)) mail.test;", "mail.test"),
        ("\r\n mail.test;", "mail.test"),
        ("mail.test.;", "mail.test"),
        ("far.test; mail.test", "far.test"),
        ("", ""),
        ("(never closed mail.test", ""),
        (";", ""),
    ],
)
def test_who_claims_to_have_written_results_is_read_as_the_rfc_writes_it(value: str, name: str) -> None:
    assert authserv_id(value) == name


@given(st.text(max_size=60))
def test_no_value_of_a_header_is_too_odd(value: str) -> None:
    assert isinstance(authserv_id(value), str)


_lines = st.lists(st.sampled_from([b"A: 1", b" folded", b"\tfolded", b"", b"X-Spam-Flag: YES", b"no colon", b":"]))


@given(_lines, st.sampled_from([b"\n", b"\r\n"]))
def test_fields_put_together_are_the_header_and_only_what_is_named_goes(lines: list[bytes], end: bytes) -> None:
    content = end.join(lines) + end
    assert without_fields(content, ()) == content
    header, rest = split_header(content)
    assert b"".join(fields_of(header)) == header.replace(b"\r\n", b"\n")
    left = without_fields(content, forged_in(header))
    assert left.endswith(rest)
    assert not forged_in(split_header(left)[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("size", [500, 1_500_000])
def test_forgeries_are_left_out_of_the_mailbox_and_the_rest_stays_byte_for_byte(spool: Spool, size: int) -> None:
    a_check(CheckKind.NULL_SENDER, 1)
    body = "\r\n".join(["X-Spam-Flag: NO is what the text says"] * (size // 39))
    from_outside(spool, ODD_LIES + OTHERS + a_mail(body))
    spool.work()
    [message] = spool.mailbox()
    assert message.get_all("Authentication-Results") == [
        "gateway.far.test; spf=pass smtp.mailfrom=mail.test",
        "mail.test.far.test; spf=pass",
    ]
    assert message.get_all("X-Spam-Status") == ["No, score=0 required=10 tests=none"]
    assert message.get_all("X-Spam-Score") == ["0"] and "X-Spam-Flag" not in message and "X-Spam-Level" not in message
    assert message["X-Spam-Report"] == "none of ours" and message["X-Authentication-Results"]
    assert message.get_content().strip() == body.replace("\r\n", "\n").strip()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("size", [500, 1_500_000])
def test_by_lmtp_they_are_left_out_too(spool: Spool, size: int) -> None:
    a_check(CheckKind.NULL_SENDER, 1)
    content = OTHERS + a_mail("\r\n".join(["x" * 70] * (size // 72)))
    with SmtpPeer(lmtp=True) as store:
        spool.settings(local_store="lmtp", lmtp_address=f"127.0.0.1:{store.port}")
        from_outside(spool, ODD_LIES + content)
        spool.work()
        [taken] = store.taken
    assert taken.content.endswith(content) and taken.content.count(b"X-Spam-Status") == 1
    assert b"bank.test" not in taken.content


@pytest.mark.django_db(transaction=True)
def test_dkim_is_checked_on_the_message_as_it_came(spool: Spool) -> None:
    a_check(CheckKind.DKIM, 10)
    fields = [b"from", b"subject", b"authentication-results", b"x-spam-status"]
    from_outside(spool, signed(LIES + a_mail(), spool, fields))
    spool.work()
    [message] = spool.mailbox()
    assert message.get_all("Authentication-Results") == ["mail.test; dkim=pass header.d=far.test"]
    assert message.get_all("X-Spam-Status") == ["No, score=0 required=10 tests=none"]


@pytest.mark.django_db(transaction=True)
def test_what_goes_elsewhere_and_what_nobody_checks_stays_as_it_came(spool: Spool) -> None:
    content = LIES + a_mail(sender=ANN)
    from_outside(spool, content)
    spool.work()
    assert len(spool.mailbox()[0].get_all("X-Spam-Status")) == 1
    a_check(CheckKind.NULL_SENDER, 1, outbound=True)
    spool.take(content=content)
    spool.work()
    assert spool.peer.taken[0].content.endswith(content)
    # The hosts of a network that is exempt are ours, or as good as ours.
    WhitelistEntry.objects.create(network="192.0.2.0/24", spam_bypass=True)
    lists.forget()
    from_outside(spool, content)
    spool.work()
    assert [m["X-Spam-Status"] for m in spool.mailbox()] == ["No, score=-100"] * 2


def test_comments_before_the_name_cost_no_more_than_their_length() -> None:
    started = time.process_time()
    assert authserv_id("()" * 120_000 + "mail.test") == "mail.test"
    assert authserv_id("(" * 240_000) == ""
    assert time.process_time() - started < 2
