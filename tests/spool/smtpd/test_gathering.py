"""How messages become batches: whole, in order, and with no waiting that does not pay."""

from __future__ import annotations

import pickle
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.smtpd import batches
from spool.smtpd.batches import GOODBYE, Frames, Gatherer, framed
from tests.support.messages import a_submission


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, Gatherer]]:
    """The sessions' end, and what reads at the other."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, Gatherer(theirs)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long each look at the socket was ready to wait, in seconds."""
    seen: list[float | None] = []
    real = select.select

    def spied(readers: list[socket.socket], writers: object, others: object, seconds: float | None) -> object:
        seen.append(seconds)
        return real(readers, (), (), seconds)

    monkeypatch.setattr(batches.select, "select", spied)
    return seen


def message(coming: int) -> bytes:
    return framed((a_submission(), coming))


def test_a_client_that_is_alone_does_not_wait(
    channel: tuple[socket.socket, Gatherer], waits: list[float | None]
) -> None:
    sessions, gatherer = channel
    for _ in range(3):
        sessions.sendall(message(0))
        assert len(gatherer.next_batch()) == 1
    assert set(waits) == {0.0}


def test_a_commit_waits_for_those_who_are_about_to_bring_more_and_no_longer(
    channel: tuple[socket.socket, Gatherer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "LINGER_SECONDS", 60.0)
    sessions, gatherer = channel
    sessions.sendall(message(2))
    late = [threading.Timer(0.05, sessions.sendall, [message(1)]), threading.Timer(0.1, sessions.sendall, [message(0)])]
    for timer in late:
        timer.start()
    began = time.monotonic()
    assert len(gatherer.next_batch()) == 3
    assert time.monotonic() - began < 30


def test_waiting_in_vain_is_soon_given_up_and_taken_up_again_when_it_pays(
    channel: tuple[socket.socket, Gatherer], waits: list[float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, gatherer = channel

    def waited() -> bool:
        waits.clear()
        sessions.sendall(message(1))
        assert len(gatherer.next_batch()) == 1
        return any(waits)

    waited_of_100 = [waited() for _ in range(100)]
    assert waited_of_100[:2] == [True, False]
    assert 4 <= sum(waited_of_100) <= 8
    # Somebody comes while it waits: the next commit waits, too.
    monkeypatch.setattr(batches, "LINGER_SECONDS", 60.0)
    for _ in range(200):
        sessions.sendall(message(1))
        timer = threading.Timer(0.05, sessions.sendall, [message(0)])
        timer.start()
        paid = len(gatherer.next_batch()) == 2
        timer.join()
        if paid:
            break
        gatherer.next_batch()
    monkeypatch.setattr(batches, "LINGER_SECONDS", 0.003)
    assert waited()


def test_all_that_is_there_comes_before_the_end(channel: tuple[socket.socket, Gatherer]) -> None:
    sessions, gatherer = channel
    sessions.sendall(message(5) + message(4) + GOODBYE)
    assert len(gatherer.next_batch()) == 2
    assert gatherer.next_batch() == []


def test_a_batch_has_its_bounds(channel: tuple[socket.socket, Gatherer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_MESSAGES", 3)
    sessions, gatherer = channel
    sessions.sendall(message(0) * 7)
    assert [len(gatherer.next_batch()) for _ in range(3)] == [3, 3, 1]


@given(st.lists(st.binary(max_size=50)), st.integers(1, 20))
def test_a_stream_comes_apart_as_it_was_put_together(contents: list[bytes], step: int) -> None:
    stream = b"".join(framed(content) for content in contents)
    frames = Frames()
    found = []
    for start in range(0, len(stream), step):
        frames.feed(stream[start : start + step])
        while (frame := frames.next()) is not None:
            found.append(pickle.loads(frame))
    assert found == contents
