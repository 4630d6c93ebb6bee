"""Bounds that are met when a message is read are a result: seen with what the rules say, and worth points if wished."""

from __future__ import annotations

import pytest

from quarantine.models import CheckKind
from quarantine.trial import Envelope, try_content
from tests.quarantine.spamming import a_check, a_mail, from_outside
from tests.spool.passing import ANN, FAR, Spool
from tests.support.spamd import Spamd

pytestmark = pytest.mark.django_db(transaction=True)

HEAD = f"From: eve@{FAR}\r\nTo: {ANN}\r\nSubject: Lunch\r\nMIME-Version: 1.0\r\n"


def parts(*kinds: str, last: str = "cheap watches") -> bytes:
    """A multipart of such parts, and the last one with the words that a rule looks for."""
    bodies = [f"--b\r\nContent-Type: {kind}\r\n\r\nnothing\r\n" for kind in kinds]
    text = f"{HEAD}Content-Type: multipart/mixed; boundary=b\r\n\r\n{''.join(bodies)}--b\r\n\r\n{last}\r\n--b--\r\n"
    return text.encode()


def nested(levels: int) -> bytes:
    """Multiparts in multiparts, more than are taken apart."""
    text = HEAD
    for level in range(levels):
        text += f"Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
    return f"{text}Content-Type: text/plain\r\n\r\ncheap watches\r\n".encode()


def said(content: bytes) -> dict[str, tuple[float, str]]:
    """Points and words of each check."""
    judgement = try_content(content, Envelope(f"eve@{FAR}", ANN)).judgement
    assert judgement is not None
    return {one.check: (one.points, one.text) for one in judgement.results}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (parts(*["image/png"] * 20), "1 text part after the first 20 parts"),
        (parts(*["image/png"] * 22, "text/html"), "2 text parts after the first 20 parts"),
        (a_mail("x" * 400_000 + " cheap watches"), "text beyond 256 KB"),
        (parts("text/plain", last="x" * 300_000 + " cheap watches"), "text beyond 256 KB"),
        (nested(120), "parts beyond what is taken apart"),
        (a_mail("x" * 5_000_000 + " cheap watches"), "it is larger than 4096 KB"),
    ],
    ids=["20 images before it", "22 images", "256 KB before it", "256 KB in a part", "120 levels", "5 MB"],
)
def test_text_behind_a_bound_is_said_to_be_not_looked_at(spool: Spool, content: bytes, words: str) -> None:
    a_check(CheckKind.BODY, 12, pattern="cheap watches", name="watches")
    a_check(CheckKind.URI_LIST, 12, where="uri.test", name="uri")
    a_check(CheckKind.UNREAD, None, name="unread")
    results = said(content)
    assert results["watches"] == (0, f"not looked at: {words}")
    assert results["uri"] == (0, f"not looked at: {words}")
    assert results["unread"] == (3, f"not looked at: {words}")


@pytest.mark.parametrize(
    "content", [a_mail(), parts("text/plain", "image/png", last="hello"), parts(*["text/plain"] * 19)]
)
def test_what_was_read_to_its_end_is_no_such_result(spool: Spool, content: bytes) -> None:
    a_check(CheckKind.BODY, 12, pattern="very cheap watches", name="watches")
    a_check(CheckKind.UNREAD, 5, name="unread")
    assert said(content) == {"watches": (0, ""), "unread": (0, "")}


def test_a_rule_that_hits_says_what_it_has_found(spool: Spool) -> None:
    a_check(CheckKind.BODY, 12, pattern="cheap watches", name="watches")
    assert said(a_mail("cheap watches " + "x" * 400_000))["watches"] == (12, "the text has “cheap watches”")


def test_fields_and_links_beyond_the_bound_are_said_to_be_not_looked_at(spool: Spool) -> None:
    a_check(CheckKind.HEADER, 12, where="X-Offer", pattern="watches", name="offers")
    a_check(CheckKind.URI_LIST, 12, where="uri.test", name="uri")
    links = " ".join(f"http://shop{number}.example/" for number in range(25))
    results = said(b"X-Offer: none\r\n" * 103 + b"X-Offer: watches\r\n" + a_mail(links))
    assert results["offers"] == (0, "not looked at: 4 of its fields after the first 100")
    assert results["uri"] == (0, "not looked at: domains after the first 20")


def test_an_engine_says_that_a_message_was_too_large_for_it(spool: Spool, spamd: Spamd) -> None:
    a_check(CheckKind.SPAMD, 2, where=spamd.address, name="SpamAssassin")
    assert said(a_mail("x" * 5_000_000))["SpamAssassin"] == (0, "not looked at: it is larger than 4096 KB")


def test_the_recipient_can_see_it_and_filter_by_it(spool: Spool) -> None:
    a_check(CheckKind.BODY, 12, pattern="cheap watches", name="my watches")
    a_check(CheckKind.UNREAD, 11, name="unread")
    from_outside(spool, parts(*["image/png"] * 20))
    spool.work()
    [message] = spool.mailbox()
    assert message["X-Spam-Status"] == "Yes, score=11 required=10 tests=unread=11 unread=my_watches,unread"
