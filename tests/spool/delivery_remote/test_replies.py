"""Reading what remote hosts say, whatever it is."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spool.delivery.replies import BrokenReply, Reply, read_reply


def read(sent: bytes) -> Reply:
    async def from_stream() -> Reply:
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        reader.feed_eof()
        return await read_reply(reader)

    return asyncio.run(from_stream())


@pytest.mark.parametrize(
    ("sent", "code", "text", "enhanced"),
    [
        (b"250 2.1.0 ok\r\n", 250, "250 2.1.0 ok", "2.1.0"),
        (b"250-one\r\n250 two\r\n", 250, "250 one two", "2.0.0"),
        (b"250\r\n", 250, "250", "2.0.0"),
        (b"250\n", 250, "250", "2.0.0"),
        (b"550 no\xff\r\n", 550, "550 no\ufffd", "5.0.0"),
        (b"451 4.7.1\r\n", 451, "451 4.7.1", "4.7.1"),
        (b"451 10.7.1 x\r\n", 451, "451 10.7.1 x", "4.0.0"),
        (b"354 go on\r\n", 354, "354 go on", "4.5.0"),
    ],
)
def test_a_reply_is_its_code_and_its_text(sent: bytes, code: int, text: str, enhanced: str) -> None:
    reply = read(sent)
    assert (reply.code, reply.text, reply.enhanced) == (code, text, enhanced)


@pytest.mark.parametrize(
    "sent", [b"", b"250", b"250-more to come\r\n", b"hello\r\n", b"99 x\r\n", b"600 x\r\n", b"150 x\r\n", b"250_x\r\n"]
)
def test_what_is_no_reply_is_said_to_be_none(sent: bytes) -> None:
    with pytest.raises(BrokenReply):
        read(sent)


@given(st.binary(max_size=200) | st.lists(st.sampled_from([b"250", b"-", b" ", b"\r\n", b"x", b"5"])).map(b"".join))
@example(b"\xc2\xb2\xc2\xb2\xc2\xb2 x\r\n")
def test_any_bytes_are_a_reply_or_broken(sent: bytes) -> None:
    try:
        reply = read(sent)
    except BrokenReply:
        return
    assert 200 <= reply.code <= 599
    assert reply.text.startswith(str(reply.code))
    assert "\n" not in reply.text
