"""Messages whose header is odd: taken as written, or refused clearly, and nothing of what is refused stays."""

from __future__ import annotations

import pytest

from tests.spool.smtpd.conftest import ANN, Listener
from tests.spool.smtpd.test_bad_input import X, unfinished


def files(listener: Listener) -> set[str]:
    return {path.name for path in (listener.mailspool.home / "spool").rglob("*.eml")}


def test_a_chunk_that_ends_in_half_a_line_end_leaves_nothing(listener: Listener) -> None:
    before, entries = files(listener), listener.count()
    content = b"Subject: x\r\n\r\n"
    content += (b"z" * 78 + b"\r\n") * 3800 + b"\r"
    assert len(content) > 256 * 1024
    with listener.client() as client:
        client.begin(X, ANN)
        client.send(b"BDAT %d LAST\r\n" % len(content) + content)
        assert client.reply().status == "550 5.6.11"
    assert files(listener) == before and listener.count() == entries
    assert unfinished(listener) == []


@pytest.mark.parametrize("first", [b"\r\n", b" goes on\r\n"])
def test_a_message_that_begins_with_its_body_is_taken_so(listener: Listener, first: bytes) -> None:
    name = "".join(f"{byte:02x}" for byte in first)
    body = first + b"Received: from a by b\r\n" * 60 + b"Subject: of the body\r\n\r\nhello " + name.encode() + b"\r\n"
    with listener.submission() as client:
        client.begin(ANN, ANN)
        reply = client.content(body)
    assert reply.code == 250
    taken = reply.text.rpartition(" ")[2].strip()
    [row] = listener.rows("SELECT * FROM spool_entry WHERE file_name = %s", taken)
    assert row["subject"] == ""
    content = listener.content_of(row)
    header, _, rest = content.partition(b"\r\n\r\n")
    assert content.endswith(body)
    assert b"\r\nDate: " in header and b"\r\nMessage-ID: " in header
    assert b"goes on" not in header
    assert b"Received: from a by b" in rest


def test_a_header_without_an_end_is_refused(listener: Listener) -> None:
    content = b"Subject: x\r\n" + (b"X-Filler: " + b"y" * 900 + b"\r\n") * 300 + b"\r\nhello\r\n"
    with listener.client() as client:
        client.begin(X, ANN)
        reply = client.content(content)
        assert reply.status == "552 5.3.4"
        assert "header" in reply.text
    assert unfinished(listener) == []


@pytest.mark.parametrize("subject", ["=?ütf-8?Q?x?=", "=?é?q?x?=", "=?utf-8?B?%%%?=", "=?x" * 500])
def test_no_subject_keeps_a_message_out(listener: Listener, subject: str) -> None:
    with listener.client() as client:
        client.begin(X, ANN)
        reply = client.content(f"Subject: {subject}\r\nMessage-ID:\r\n\r\nhello\r\n".encode())
    assert reply.code == 250
