"""Whole dialogues that nobody wrote, sent at once to a listener that really listens."""

from __future__ import annotations

import os
import re
import socket
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import inputs
from tests.fuzz.target import Target
from tests.spool.smtpd.conftest import Listener

LONG: Final = bool(os.environ.get("MAILSPOOL_LONG"))
REPLY: Final = re.compile(rb"(?:[2345]\d\d-[ -~]*\r\n)*[2345]\d\d [ -~]*\r\n")
# The longest that a client needs to be told something, on a machine that is busy.
SECONDS: Final = 60.0
# Only for its words and its corpus: what it runs needs a listener.
DIALOGUE: Final = Target("dialogue", len, ("fields",))


def said_to(port: int, dialogue: bytes) -> bytes:
    """All that the server answers, up to its end of the connection."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as client:
        try:
            client.sendall(dialogue)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            # It has heard enough.
            pass
        answer = b""
        try:
            while piece := client.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    return answer


def check(listener: Listener, dialogue: bytes) -> None:
    answer = said_to(listener.mailspool.smtp_port, dialogue)
    # Behind the 220 of STARTTLS it speaks TLS.
    plain, _, _ = answer.partition(b"220 2.0.0 Ready to start TLS\r\n")
    assert re.fullmatch(rb"(?:%s)*" % REPLY.pattern, plain), plain
    assert plain.count(b" Taken as ") <= dialogue.upper().count(b"DATA") + dialogue.upper().count(b"BDAT")
    assert not re.search(rb"^421 4.3.0", plain, re.MULTILINE), plain


@pytest.mark.parametrize("path", DIALOGUE.kept, ids=lambda path: path.name)
def test_dialogues_of_the_corpus_are_answered(listener: Listener, path: object) -> None:
    check(listener, path.read_bytes())  # type: ignore[attr-defined]


@settings(
    max_examples=1_500 if LONG else 40,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(dialogue=inputs.made(DIALOGUE), begins=st.booleans())
def test_any_dialogue_is_answered_in_whole_replies(listener: Listener, dialogue: bytes, begins: bool) -> None:
    begun = b"EHLO c.test\r\nMAIL FROM:<ann@elsewhere.test>\r\nRCPT TO:<ann@here.test>\r\n" if begins else b""
    check(listener, begun + dialogue)


@pytest.mark.long
@settings(
    max_examples=40,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(dialogue=inputs.pumped(DIALOGUE))
def test_however_long_it_is_the_listener_keeps_little_of_it(listener: Listener, dialogue: bytes) -> None:
    before = listener.rss_mb()
    check(listener, dialogue)
    assert listener.rss_mb() < before + 100
