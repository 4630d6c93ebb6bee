"""Where a message ends, however its bytes are cut on the way."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailspool.home import Home
from spool.files import incoming
from spool.smtpd.verbs import reader
from spool.smtpd.verbs.reader import (
    BARE_LINE_END,
    IN_MEMORY_BYTES,
    LINE_TOO_LONG,
    LONGEST_LINE,
    NUL_BYTE,
    Body,
    TooMuch,
    read_data,
)

NEXT = b"MAIL FROM:<a@example.org>\r\n"


def stuffed(content: bytes) -> bytes:
    dotted = b"." + content if content.startswith(b".") else content
    return dotted.replace(b"\r\n.", b"\r\n..") + b".\r\n"


async def received(wire: bytes, cuts: list[int], limit: int = 10_000_000) -> tuple[Body, bytes, bytes]:
    """The body, its content, and what was left for the next command."""
    reader = asyncio.StreamReader()
    body = Body(limit)
    places = sorted({cut % (len(wire) + 1) for cut in cuts} | {0, len(wire)})

    async def feed() -> None:
        for start, end in itertools.pairwise(places):
            reader.feed_data(wire[start:end])
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding = asyncio.ensure_future(feed())
    rest = await read_data(reader, body, lambda size: None)
    await feeding
    rest += await reader.read()
    content, spilled = await body.finish()
    if spilled is not None:
        content = spilled.read_bytes()
        spilled.unlink()
    return body, content or b"", rest


lines = st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")))
dotted_lines = st.lists(st.sampled_from([b"", b".", b"..", b"a", b".a", b"a."]))


@given(lines=lines | dotted_lines, cuts=st.lists(st.integers(0, 1000), max_size=8))
def test_any_message_arrives_as_it_was_sent_however_it_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    body, arrived, rest = asyncio.run(received(stuffed(content) + NEXT, cuts))
    assert body.problem == ""
    assert arrived == content
    assert rest == NEXT


def as_the_rfc_says(wire: bytes) -> tuple[bytes, bytes] | None:
    """(message, what follows), as RFC 5321 4.5.2 puts it, line by line; None when the end never comes."""
    lines: list[bytes] = []
    rest = wire
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return None
        if line == b".":
            return b"".join(line + b"\r\n" for line in lines), rest
        lines.append(line.removeprefix(b"."))


def problem_of(message: bytes) -> str:
    """What a message deserves by the plainest reading of the rules."""
    if b"\0" in message:
        return NUL_BYTE
    if b"\r" in message.replace(b"\r\n", b"") or b"\n" in message.replace(b"\r\n", b""):
        return BARE_LINE_END
    return LINE_TOO_LONG if any(len(line) > LONGEST_LINE for line in message.split(b"\n")) else ""


_pieces = st.sampled_from(
    [b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"a", b"bc", b"\r\n..", b"\n.\r\n", b"\0"]
)


@given(wire=st.lists(_pieces | st.binary(max_size=3), max_size=40).map(b"".join), cuts=st.lists(st.integers(0, 200)))
def test_any_stream_however_cut_is_read_as_the_rfc_says(wire: bytes, cuts: list[int]) -> None:
    expected = as_the_rfc_says(wire)
    if expected is None:
        with pytest.raises(asyncio.IncompleteReadError):
            asyncio.run(received(wire, cuts))
        return
    message, rest = expected
    body, arrived, left = asyncio.run(received(wire, cuts))
    assert left == rest
    assert bool(body.problem) == bool(problem_of(message))
    assert body.size == len(message)
    if not body.problem:
        assert arrived == message


@given(
    lengths=st.lists(st.sampled_from([0, 1, 70, LONGEST_LINE - 2, LONGEST_LINE - 1, LONGEST_LINE]), max_size=4),
    last=st.sampled_from([0, LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1]),
    step=st.sampled_from([1460, 4096, 65_535, 65_536, 65_537, 262_144]),
)
def test_a_line_is_measured_across_all_pieces(lengths: list[int], last: int, step: int) -> None:
    message = b"".join(b"x" * length + b"\r\n" for length in lengths) + b"y" * last
    body = Body(10_000_000)

    async def feed() -> None:
        for start in range(0, len(message), step):
            await body.add(message[start : start + step])

    asyncio.run(feed())
    body.discard()
    assert body.problem == problem_of(message)


@given(content=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=10))
def test_chunks_make_the_same_message_as_the_whole(content: bytes, cuts: list[int]) -> None:
    body = Body(10_000, lambda head: b"Header: 1\r\n")
    places = sorted({min(cut, len(content)) for cut in cuts} | {0, len(content)})

    async def feed() -> tuple[bytes | None, object]:
        for start, end in itertools.pairwise(places):
            await body.add(content[start:end])
        return await body.finish()

    whole, spilled = asyncio.run(feed())
    assert spilled is None
    assert bool(body.problem) == bool(problem_of(content))
    if not body.problem:
        assert whole == b"Header: 1\r\n" + content


@pytest.mark.parametrize("smuggled", [b"a\n.\r\nMAIL\r\n", b"a\r\n.\nMAIL\r\n", b"a\r.\r\n", b"a\n\n", b"\rb\r\n"])
@given(cuts=st.lists(st.integers(0, 1000), max_size=8))
def test_a_bare_cr_or_lf_neither_ends_a_message_nor_gets_in(smuggled: bytes, cuts: list[int]) -> None:
    body, _, rest = asyncio.run(received(smuggled + b"x\r\n.\r\n" + NEXT, cuts))
    assert body.problem == BARE_LINE_END
    assert rest == NEXT


def test_nul_and_endless_lines_are_refused_after_the_whole_message_was_read() -> None:
    for content, problem in ((b"a\0b\r\n", NUL_BYTE), (b"x" * 1_000_000 + b"\r\n", LINE_TOO_LONG)):
        body, _, rest = asyncio.run(received(content + b".\r\n" + NEXT, []))
        assert body.problem == problem
        assert rest == NEXT


def test_a_large_message_goes_to_disk_and_comes_back_whole(home: Home) -> None:
    content = (b"0123456789" * 7 + b"\r\n") * 50_000
    assert len(content) > IN_MEMORY_BYTES
    _body, arrived, rest = asyncio.run(received(stuffed(content) + NEXT, list(range(0, len(content), 100_000))))
    assert arrived == content
    assert rest == NEXT
    assert not list(incoming.files())


def test_the_top_of_a_large_message_is_made_of_its_whole_header_and_stands_before_it_once(home: Home) -> None:
    content = b"Subject: large\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * 20_000
    heads: list[bytes] = []
    body = Body(10_000_000, lambda head: heads.append(head) or b"Received: here\r\n")

    async def feed() -> Path | None:
        for start in range(0, len(content), 65_536):
            await body.add(content[start : start + 65_536])
        return (await body.finish())[1]

    spilled = asyncio.run(feed())
    assert spilled is not None
    assert spilled.read_bytes() == b"Received: here\r\n" + content
    assert [head.startswith(b"Subject: large\r\n\r\n") for head in heads] == [True]
    spilled.unlink()


def test_a_message_over_the_limit_is_read_to_its_end_and_refused() -> None:
    body, _, rest = asyncio.run(received(stuffed(b"line\r\n" * 1000) + NEXT, [], limit=1000))
    assert body.problem.startswith("552 5.3.4")
    assert rest == NEXT


def test_a_client_that_never_stops_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spool.smtpd.verbs.reader.TOLERATED_BYTES", 1000)
    with pytest.raises(TooMuch):
        asyncio.run(received(stuffed(b"line\r\n" * 10_000), [], limit=1000))


def test_a_client_that_leaves_in_the_middle_has_sent_nothing() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        asyncio.run(received(b"half a mess", []))


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    real = reader._append

    def slow(path: Path, parts: Iterable[bytes]) -> None:
        time.sleep(0.3)
        real(path, parts)

    monkeypatch.setattr(reader, "_append", slow)


async def interrupted(body: Body, meanwhile: Callable[[asyncio.Task[None]], None]) -> None:
    """Have the disk take a large piece, and do something before it has."""
    incoming.prepare()
    adding = asyncio.create_task(body.add(b"x\r\n" * IN_MEMORY_BYTES))
    for _ in range(2):
        await asyncio.sleep(0.1)
        meanwhile(adding)
    with pytest.raises(asyncio.CancelledError):
        await adding
    body.discard()


@pytest.mark.usefixtures("slow_disk")
def test_nothing_is_left_of_a_message_that_is_given_up_twice_while_it_is_written(home: Home) -> None:
    asyncio.run(interrupted(Body(10_000_000), lambda adding: adding.cancel() and None))
    assert files_in_spool(home) == []


@pytest.mark.usefixtures("slow_disk")
def test_nothing_is_left_of_a_message_whose_connection_ends_while_it_is_written(home: Home) -> None:
    body = Body(10_000_000)

    def end(adding: asyncio.Task[None]) -> None:
        body.discard()
        adding.cancel()

    asyncio.run(interrupted(body, end))
    assert files_in_spool(home) == []


def files_in_spool(home: Home) -> list[Path]:
    return [path for path in home.spool.rglob("*") if path.is_file()]
