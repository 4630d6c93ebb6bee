"""A message's bytes on the wire: stuffed, ended, and for large ones never all in memory."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spool.delivery.remote import body
from spool.models.recipient import Outcome
from tests.spool.delivery_remote.conftest import BOB, Deliver
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry, a_message
from tests.support.sink import SmtpSink
from tests.support.smtp_peer import SmtpPeer

contents = st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"a", b"text."]), max_size=40).map(b"".join)


def _unstuffed(sent: bytes) -> bytes:
    """What a host keeps of `sent` (RFC 5321 4.5.2); whatever follows the first final dot is a failure."""
    lines = sent.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end + 1 :] == [b""]
    return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:end])


@given(contents)
def test_a_host_gets_the_message_and_an_end_of_line_if_that_was_missing(content: bytes) -> None:
    received = _unstuffed(body.whole(content))
    assert received == (content if content.endswith(b"\r\n") else content + b"\r\n")


@given(contents, st.integers(1, 12))
@example(b"a\r\n.b\r\n", 2)
@example(b"a\r\n.b\r\n", 3)
@example(b"a\r\n.\r\n", 1)
@example(b"\r\n", 1)
def test_chunks_are_the_whole_wherever_their_borders_are(content: bytes, size: int) -> None:
    assert b"".join(body.chunks(io.BytesIO(content), size)) == body.whole(content)


def test_a_large_message_arrives_as_it_is(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    lines = b"".join(b"." * (number % 3) + b"line %d\r\n" % number for number in range(200_000))
    content = b"Subject: x\r\n\r\n" + lines
    assert len(content) > 2 * body.LARGEST_WHOLE_BYTES
    [told] = deliver(a_leased_entry(spooled, to=BOB, content=content))
    assert told.only.outcome is Outcome.DELIVERED
    assert peer.taken[0].content == content


@pytest.mark.parametrize("size", [body.LARGEST_WHOLE_BYTES, body.LARGEST_WHOLE_BYTES + 1])
def test_both_ways_of_sending_leave_the_connection_ready(
    peer: SmtpPeer, spooled: Path, deliver: Deliver, size: int
) -> None:
    content = a_message(size=size)
    told = deliver(*[a_leased_entry(spooled, to=BOB, content=content) for _ in range(3)], max_per_destination=1)
    assert [one.only.outcome for one in told] == [Outcome.DELIVERED] * 3
    assert [taken.content for taken in peer.taken] == [content] * 3
    assert len(peer.conversations) == 1


def test_fifty_megabytes_to_five_hosts_take_a_few_megabytes_of_memory(
    dns: DNSServer, spooled: Path, deliver: Deliver, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    sink = SmtpSink(tmp_path)
    sink.start()
    try:
        for number in range(5):
            dns.add(f"d{number}.test", "A", "127.0.0.1")
        entry = a_leased_entry(spooled, to=[f"x@d{n}.test" for n in range(5)], content=a_message(size=50_000_000))
        tracemalloc.start()
        [told] = deliver(entry, smtp_out_port=sink.port, reply_timeout_seconds=60)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        sink.stop()
    assert set(told.outcomes.values()) == {Outcome.DELIVERED}
    assert peak < 15_000_000, f"{peak / 1e6:.1f} MB"
