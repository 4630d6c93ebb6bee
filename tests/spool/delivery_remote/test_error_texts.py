"""What administrators read of a connection that failed."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest

from spool.delivery.remote.error_texts import in_words
from spool.delivery.replies import BrokenReply
from tests.support.ports import free_port


def test_a_refused_connection_is_said_to_be_refused_and_no_more() -> None:
    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", free_port())

    with pytest.raises(OSError, match="Errno") as refused:
        asyncio.run(connect())
    assert in_words(refused.value) == "connection refused"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (TimeoutError(errno.ETIMEDOUT, "Connect call failed ('192.0.2.1', 25)"), "no answer in time"),
        (OSError(errno.EHOSTUNREACH, "Connect call failed ('192.0.2.1', 25)"), "no route to the host"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "the other side reset the connection"),
        (OSError(errno.EMFILE, "x"), "too many open files"),
        (BrokenReply("the connection was closed by the other side"), "the connection was closed by the other side"),
        (ConnectionResetError(), "the connection broke"),
    ],
)
def test_errors_are_said_in_words(error: BaseException, words: str) -> None:
    assert in_words(error) == words


def test_a_host_that_speaks_no_tls_is_named_as_such() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"220 mail.example.net ESMTP\r\n" * 10)
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError) as failed:
            context.wrap_socket(ours, server_hostname="mail.example.net")
    assert in_words(failed.value) == "TLS error: wrong version number"
