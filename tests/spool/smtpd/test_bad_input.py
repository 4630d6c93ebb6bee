"""Broken, hostile and half-finished dialogues: answered clearly, nothing stored, and the listener goes on."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.spool.smtpd.conftest import ANN, BOB, Listener
from tests.spool.smtpd.dialogue import Dialogue, Reply, stuffed
from tests.support.waiting import wait_until

X = "x@elsewhere.test"


def unfinished(listener: Listener) -> list[Path]:
    """Files of messages that were begun."""
    return [path for path in (listener.mailspool.home / "spool" / "incoming").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"a\nb\r\n.\r\n", "550 5.6.11"),
        (b"a\rb\r\n.\r\n", "550 5.6.11"),
        (b"a\r\r\n.\r\n", "550 5.6.11"),
        (b"a\n.\nMAIL FROM:<evil@evil.test>\r\n.\r\n", "550 5.6.11"),
        (b"a\r\n.\nMAIL FROM:<evil@evil.test>\r\n.\r\n", "550 5.6.11"),
        (b"a\n.\r\nMAIL FROM:<evil@evil.test>\r\n.\r\n", "550 5.6.11"),
        (b"a\r.\rMAIL FROM:<evil@evil.test>\r\n.\r\n", "550 5.6.11"),
        (b"a\0b\r\n.\r\n", "550 5.6.0"),
        (b"x" * 1_000_000 + b"\r\n.\r\n", "550 5.6.0"),
    ],
)
def test_content_that_others_would_read_otherwise_is_refused(listener: Listener, wire: bytes, status: str) -> None:
    before = listener.count()
    with listener.client() as client:
        client.begin(X, ANN)
        client.do("DATA")
        client.send(wire)
        assert client.reply().status == status
        # The next reply is that of NOOP: nothing in the message was taken for a command.
        assert client.do("NOOP").status == "250 2.0.0"
        assert client.do(f"RCPT TO:<{BOB}>").status == "503 5.5.1"
    assert listener.count() == before


def test_a_long_line_is_seen_however_slowly_it_comes(listener: Listener) -> None:
    with listener.client() as client:
        client.begin(X, ANN)
        client.do("DATA")
        for _ in range(90):
            client.send(b"x" * 1000)
            time.sleep(0.002)
        client.send(b"\r\n.\r\n")
        assert client.reply().status == "550 5.6.0"


@pytest.mark.parametrize(
    "command",
    [
        b"NOOP\n",
        b"NO\0OP\r\n",
        b"\xff\xfe\r\n",
        b"MAIL FROM:<\xff@elsewhere.test>\r\n",
        b"\r\n",
        b"\0\r\n",
        b"\x80\x00\x00\x01\r\n",
        b"GET / HTTP/1.1\r\n",
        b"x" * 1_000_000 + b"\r\n",
        b"NOOP " + b"x" * 5000 + b"\r\n",
        b"EHLO\tclient.test\r\n",
        b"M\xc3\x84IL\r\n",
    ],
)
def test_what_is_no_command_is_answered_500_and_the_session_goes_on(listener: Listener, command: bytes) -> None:
    with listener.client() as client:
        client.send(command)
        assert client.reply().status == "500 5.5.2"
        assert client.do("NOOP").status == "250 2.0.0"


@pytest.mark.parametrize("path", ["<a\x01b@here.test>", "<a\x7fb@here.test>", "<a\x0bb@here.test>", "<a\tb@here.test>"])
def test_control_characters_in_an_address_are_refused(listener: Listener, path: str) -> None:
    with listener.client() as client:
        assert client.do(f"MAIL FROM:{path}").status == "501 5.1.3"


def _pieces() -> list[bytes]:
    """A dialogue, cut where it can be."""
    _, message = "", b"Subject: Never\r\n\r\nBody\r\n.\r\n"
    return [
        b"EHLO client.test\r\n",
        f"MAIL FROM:<{X}>\r\n".encode(),
        f"RCPT TO:<{ANN}>\r\n".encode(),
        b"DATA\r\n",
        *(message[n : n + 1] for n in range(len(message) - 1)),
    ]


@pytest.mark.parametrize("ending", ["close", "reset", "half-close"])
def test_a_dialogue_cut_at_any_point_stores_nothing(listener: Listener, ending: str) -> None:
    before = listener.count()
    pieces = _pieces()
    for end in range(len(pieces) + 1):
        with Dialogue(listener.mailspool.smtp_port, greet=False) as client:
            client.send(b"".join(pieces[:end]))
            if ending == "reset":
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif ending == "half-close":
                client.socket.shutdown(socket.SHUT_WR)
                while client.socket.recv(65536):
                    pass
    assert _all_sessions_end(listener)
    assert listener.count() == before
    assert unfinished(listener) == []


@pytest.mark.parametrize("size", [100, 400_000])
def test_chunks_cut_at_any_point_store_nothing(listener: Listener, size: int) -> None:
    before = listener.count()
    for sent in (b"BDAT %d\r\n" % size, b"BDAT %d LAST\r\n" % size):
        for part in (0, 1, size - 1):
            with listener.client() as client:
                client.begin(X, ANN)
                client.send(sent + (b"0123456789abcdef\r\n" * (size // 18 + 1))[:part])
    with listener.client() as client:
        client.begin(X, ANN)
        client.send(b"BDAT %d\r\n" % size + (b"0123456789abcdef\r\n" * (size // 18 + 1))[:size])
        assert client.reply().code == 250
    assert _all_sessions_end(listener)
    assert listener.count() == before
    assert unfinished(listener) == []


def _all_sessions_end(listener: Listener) -> bool:
    """Wait until no session of ours is open at the listener."""
    pid = listener.mailspool.listeners[0].pid

    def ended() -> bool:
        port = f":{listener.mailspool.smtp_port:04X}"
        lines = open(f"/proc/{pid}/net/tcp").read().splitlines()[1:]  # noqa: SIM115, PTH123
        return not any(line.split()[1].endswith(port) and line.split()[3] in ("01", "08") for line in lines)

    wait_until(ended, "all sessions have ended", 10)
    return True


def test_a_client_that_says_no_more_but_listens_gets_its_answers(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.send(f"MAIL FROM:<{X}>\r\nRCPT TO:<{ANN}>\r\nDATA\r\n".encode() + stuffed(message))
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.reply().code for _ in range(4)] == [250, 250, 354, 250]
        assert client.is_closed
    assert len(listener.find(subject)) == 1


def test_pipelined_garbage_ends_with_421_and_not_with_a_hang(listener: Listener) -> None:
    with listener.client() as client:
        client.send(b"garbage \xff\xfe\r\n" * 5000)
        for _ in range(20):
            assert client.reply().status == "500 5.5.2"
        assert client.reply().status == "421 4.7.0"


_words = st.sampled_from(
    [
        b"EHLO a",
        b"HELO",
        b"MAIL FROM:<a@b.test>",
        b"MAIL FROM:<>",
        b"RCPT TO:<ann@here.test>",
        b"RCPT TO:<",
        b"DATA",
        b"BDAT 5",
        b"BDAT 0 LAST",
        b"BDAT 3 LAST",
        b"RSET",
        b"NOOP",
        b"VRFY",
        b"HELP",
        b"AUTH PLAIN",
        b'"',
        b"<",
        b">",
        b" SIZE=1",
        b" ORCPT=rfc822;",
        b".",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r\n.\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"Body: x",
    ]
)


@settings(max_examples=150)
@given(words=st.lists(_words | st.binary(max_size=20), max_size=30))
def test_any_bytes_at_all_are_answered_in_good_form(listener: Listener, words: list[bytes]) -> None:
    with Dialogue(listener.mailspool.smtp_port, greet=False) as client:
        try:
            client.send(b"".join(words))
            client.socket.shutdown(socket.SHUT_WR)
        except ConnectionError:
            return
        replies: list[Reply] = []
        try:
            while True:
                # EHLO's and HELO's reply alone has no enhanced code.
                reply = client.reply(enhanced=False)
                first = reply.lines[0]
                assert first == "mail.test" or first[:2] in ("2.", "4.", "5.") or reply.code in (334, 354), reply
                replies.append(reply)
        except (EOFError, ConnectionError):
            pass
        assert len(replies) <= len(b"".join(words)) + 1


def test_a_large_message_takes_little_of_the_listeners_memory(listener: Listener) -> None:
    subject, head = listener.message()
    line = b"0123456789" * 7 + b"\r\n"
    block = line * 14_000
    blocks = 99 * 1024 * 1024 // len(block)
    before = listener.rss_mb()
    with listener.client(seconds=60) as client:
        client.begin(X, ANN)
        client.do("DATA")
        client.send(head)
        peak = 0.0
        for number in range(blocks):
            client.send(block)
            if number % 10 == 0:
                peak = max(peak, listener.rss_mb())
        client.send(b".\r\n")
        assert client.reply().code == 250
    peak = max(peak, listener.rss_mb())
    assert peak - before < 40, f"{before:.0f} MB before, {peak:.0f} MB at the most"
    stored = listener.only(subject)
    assert stored.row["size_bytes"] == len(stored.content)
    assert stored.content.endswith(head + block * blocks)


def test_a_message_over_the_limit_is_refused_in_the_end_and_kept_nowhere(listener: Listener) -> None:
    subject, head = listener.message()
    block = (b"0123456789" * 7 + b"\r\n") * 14_000
    before = listener.rss_mb()
    with listener.settings(max_message_kb=1024), listener.client(seconds=60) as client:
        client.begin(X, ANN)
        client.do("DATA")
        client.send(head)
        for _ in range(50):
            client.send(block)
        client.send(b".\r\n")
        assert client.reply().status == "552 5.3.4"
        assert client.do("NOOP").code == 250
    assert listener.rss_mb() - before < 40
    assert listener.find(subject) == []
    assert unfinished(listener) == []


def test_a_client_that_goes_on_far_beyond_the_limit_is_cut_off(listener: Listener) -> None:
    block = (b"0123456789" * 7 + b"\r\n") * 14_000
    with listener.settings(max_message_kb=1024), listener.client(seconds=60) as client:
        client.begin(X, ANN)
        client.do("DATA")
        sent = 0
        try:
            while sent < 300 * 1024 * 1024:
                client.send(block)
                sent += len(block)
        except ConnectionError:
            pass
        assert sent < 150 * 1024 * 1024
