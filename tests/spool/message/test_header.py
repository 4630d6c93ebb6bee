"""Where a header ends, and what stands in it."""

from __future__ import annotations

from email import policy
from email.parser import BytesHeaderParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.message.header import Header, hops, is_whole, prepended, split
from spool.message.summary import summary_of

_names = st.sampled_from([b"From", b"to", b"X-Odd", b"Content-Type", b"Subject"])
_texts = st.binary(max_size=30).map(lambda text: text.translate(None, b"\r\n\x0b\x0c\x1c\x1d\x1e\x85"))
_folds = st.lists(st.tuples(st.sampled_from([b" ", b"\t"]), _texts), max_size=2)
_fields = st.lists(st.tuples(_names, st.sampled_from([b":", b": ", b":\t"]), _texts, _folds), max_size=6)


@given(_fields, st.sampled_from([b"\n", b"\r\n"]))
def test_fields_are_read_as_the_library_reads_them(
    fields: list[tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]]]], end: bytes
) -> None:
    lines = [
        name + colon + text + b"".join(end + space + more for space, more in folds)
        for name, colon, text, folds in fields
    ]
    header = end.join(lines) + end if lines else b""
    expected = BytesHeaderParser(policy=policy.compat32).parsebytes(header)
    raw = [(name, unfolded(value)) for name, value in expected.raw_items()]
    assert [(name, value.decode("ascii", "surrogateescape")) for name, value in Header(header)] == raw


def unfolded(value: str) -> str:
    return str(value).replace("\r\n", "").replace("\n", "").strip(" \t\r\n\x0b\x0c")


@given(st.binary(max_size=200))
def test_no_header_is_too_odd(content: bytes) -> None:
    header, rest = split(content)
    assert header + rest == content
    assert all(name.lower() in Header(header) for name, _ in Header(header))
    summary_of(content)


def test_a_line_that_is_no_field_hides_no_other() -> None:
    header = Header(b"From: ann@example.org\r\nno field\r\nSubject : odd\r\n")
    assert header.first("subject") == b"odd"
    assert header.all("cc") == []


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (b"A: 1\r\n\r\nB: 2\r\n", b"A: 1\r\n"),
        (b"A: 1\n\nB: 2\r\n\r\nC", b"A: 1\n"),
        (b"A: 1\n\r\nB: 2\n\nC", b"A: 1\n"),
        (b"A: 1\r\n", b"A: 1\r\n"),
        (b"\r\nReceived: x\r\n\r\n", b""),
        (b"\nReceived: x\n\n", b""),
        (b" goes on\r\nA: 1\r\n\r\n", b""),
    ],
)
def test_a_header_ends_at_the_first_empty_line(content: bytes, header: bytes) -> None:
    assert split(content) == (header, content[len(header) :])
    assert is_whole(content) == (len(header) < len(content))


def test_our_fields_are_not_gone_on_by_what_a_sender_wrote() -> None:
    ours = b"Received: by us\r\n"
    for body in (b" and them\r\n\r\nhello", b"\r\nhello", b"Subject: x\r\n\r\nhello"):
        assert Header.of(prepended(ours, body) + body).all("received") == [b"by us"]


def test_hops_are_fields_not_lines_of_the_body() -> None:
    lines = b"Received: from a by b\r\n" * 60
    assert hops(split(lines + b"\r\n")[0]) == 60
    assert hops(split(b"\r\n" + lines)[0]) == 0


@pytest.mark.parametrize(
    ("header", "subject", "message_id"),
    [
        (b"Message-ID:\r\nSubject: x\r\n", "x", ""),
        (b"Subject : spaced\r\nMessage-ID : <a@b>\r\n", "spaced", "<a@b>"),
        (b"Subject:\r\n folded\r\nMessage-ID:\r\n <a@b>\r\n", "folded", "<a@b>"),
        (b"\r\nSubject: of the body\r\n", "", ""),
        (b"Subject:\r\n", "", ""),
    ],
)
def test_a_summary_takes_each_field_from_itself(header: bytes, subject: str, message_id: str) -> None:
    assert summary_of(header + b"\r\nSubject: body\r\n") == (subject, message_id)
