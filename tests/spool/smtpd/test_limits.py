"""How much of everything a client may have."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.spool.smtpd.conftest import ANN, Listener
from tests.spool.smtpd.dialogue import stuffed
from tests.support.waiting import wait_until

X = "x@elsewhere.test"


def test_of_ten_thousand_recipients_those_within_the_limit_get_the_message(listener: Listener) -> None:
    subject, message = listener.message()
    started = time.monotonic()
    with listener.client() as client:
        commands = [f"MAIL FROM:<{X}>", *(f"RCPT TO:<u{n}@here.test>" for n in range(10_000))]
        statuses = []
        for start in range(0, len(commands), 500):
            some = commands[start : start + 500]
            client.send("".join(f"{command}\r\n" for command in some).encode())
            statuses += [client.reply().status for _ in some]
        assert statuses == ["250 2.1.0", *["250 2.1.5"] * 1000, *["452 4.5.3"] * 9000]
        assert client.content(message).code == 250
    # Bounded, on a busy machine too: one by one they would take minutes.
    assert time.monotonic() - started < 90
    assert listener.only(subject).addresses == [f"u{n}@here.test" for n in range(1000)]


def test_a_limit_of_ten_thousand_recipients_is_reached_in_good_time(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.settings(max_recipients=10_000), listener.submission() as client:
        started = time.monotonic()
        client.do(f"MAIL FROM:<{ANN}>")
        for start in range(0, 10_000, 500):
            client.send("".join(f"RCPT TO:<u{n}@elsewhere.test>\r\n" for n in range(start, start + 500)).encode())
            assert {client.reply().status for _ in range(500)} == {"250 2.1.5"}
        assert client.content(message).code == 250
        # The list of recipients must not be gone through for each new one.
        # Bounded, on a busy machine too: one by one they would take minutes.
    assert time.monotonic() - started < 90
    assert listener.only(subject).row["recipients_total"] == 10_000


def test_too_many_errors_end_the_session(listener: Listener) -> None:
    with listener.client() as client:
        client.begin(X)
        for number in range(20):
            assert client.do(f"RCPT TO:<guess{number}@here.test>").status == "550 5.1.1"
        assert client.reply().status == "421 4.7.0"
        assert client.is_closed


def test_one_address_has_so_many_connections_and_another_still_gets_in(listener: Listener) -> None:
    with listener.settings(max_connections_per_ip=3):
        clients = [listener.client() for _ in range(3)]
        with listener.client(greet=False) as refused:
            assert refused.greeting.status == "421 4.7.0"
            assert refused.is_closed
        with listener.client(source="127.0.0.2") as other:
            assert other.greeting.code == 220
        clients.pop().do("QUIT")
        wait_until(lambda: _gets_in(listener), "the place is free again", 15)
        for client in clients:
            client.socket.close()


def test_the_listener_has_so_many_connections_in_all(listener: Listener) -> None:
    with listener.settings(max_connections=2):
        clients = [listener.client(source=f"127.0.0.{n}") for n in (2, 3)]
        with listener.client(source="127.0.0.4", greet=False) as refused:
            assert refused.greeting.status == "421 4.3.2"
            assert refused.is_closed
        for client in clients:
            client.socket.close()
        wait_until(lambda: _gets_in(listener), "the places are free again", 15)


def _gets_in(listener: Listener) -> bool:
    with listener.client(greet=False) as client:
        return client.greeting.code == 220


def test_silence_ends_the_session_with_a_word(listener: Listener) -> None:
    with listener.settings(command_timeout_seconds=1), listener.client() as client:
        started = time.monotonic()
        assert client.reply().status == "421 4.4.2"
        assert client.is_closed
        assert 0.8 <= time.monotonic() - started <= 10


def test_a_command_that_never_ends_is_silence_too(listener: Listener) -> None:
    with listener.settings(command_timeout_seconds=1), listener.client() as client:
        started = time.monotonic()
        client.socket.settimeout(0.2)
        while time.monotonic() - started < 12:
            client.send(b"N")
            try:
                assert client.reply().status == "421 4.4.2"
                break
            except TimeoutError:
                continue
        assert time.monotonic() - started <= 10


def test_a_slow_sender_who_goes_on_sending_is_not_cut(listener: Listener) -> None:
    subject, message = listener.message(size=3000)
    wire = stuffed(message)
    with listener.settings(command_timeout_seconds=2, data_timeout_seconds=2), listener.client() as client:
        client.begin(X, ANN)
        client.do("DATA")
        for start in range(0, len(wire), 400):
            client.send(wire[start : start + 400])
            time.sleep(0.4)
        assert client.reply().code == 250
        # And between the commands the usual time counts again.
        assert client.do("NOOP").code == 250
    assert listener.only(subject).content.endswith(message)


@pytest.mark.parametrize("chunked", [False, True])
def test_silence_inside_a_message_stores_nothing(listener: Listener, chunked: bool) -> None:
    subject, message = listener.message()
    with listener.settings(command_timeout_seconds=1, data_timeout_seconds=1), listener.client() as client:
        client.begin(X, ANN)
        if chunked:
            client.send(b"BDAT 10000 LAST\r\n" + message)
        else:
            client.do("DATA")
            client.send(message)
        assert client.reply().status == "421 4.4.2"
        assert client.is_closed
    assert listener.find(subject) == []


def test_a_client_that_never_reads_does_not_stay_for_ever(listener: Listener) -> None:
    before = listener.rss_mb()
    with listener.settings(command_timeout_seconds=1, max_errors=100_000), listener.client() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.socket.settimeout(3)
        try:
            while True:
                client.send(b"HELP\r\n" * 1000)
        except OSError:
            pass
        assert listener.rss_mb() - before < 20
        # Closed by the server: after its time for commands, and its time for taking what was said. The client may hear
        # of it much later: a reset from beyond its window of nothing is lost, and its probes come ever more rarely.
        ours = client.socket.getsockname()[1]
        wait_until(lambda: not is_held(listener.mailspool.smtp_port, ours), "the server lets the connection go", 30)


def is_held(port: int, client_port: int) -> bool:
    """Whether a process, not only the kernel, has the server's end of a connection over IPv4."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, *_, inode = line.split()[:10]
        if [int(end.split(":")[1], 16) for end in (local, remote)] == [port, client_port]:
            return inode != "0"
    return False


@pytest.mark.parametrize(("lines", "status"), [(50, "250 2.0.0"), (51, "554 5.4.6")])
def test_a_message_that_goes_in_circles_is_refused(listener: Listener, lines: int, status: str) -> None:
    _, message = listener.message(headers=[("Received", f"from a by b; {n}") for n in range(lines)])
    with listener.client() as client:
        client.begin(X, ANN)
        assert client.content(message).status == status


def test_what_we_can_not_do_now_is_no_error_of_the_client(listener: Listener) -> None:
    _, message = listener.message()

    def reply() -> str:
        with listener.client() as client:
            client.begin(X, ANN)
            return client.content(message).status

    with listener.settings(min_free_mb=9_000_000, max_errors=3):
        # The committer, a process of its own, reads the settings once a second.
        wait_until(lambda: reply() == "452 4.3.1", "nothing is taken", 20)
        with listener.client() as client:
            for _ in range(5):
                client.begin(X, ANN)
                assert client.content(message).status == "452 4.3.1"
            assert client.do("NOOP").code == 250
    wait_until(lambda: reply() == "250 2.0.0", "mail is taken again", 20)


def test_a_client_that_says_nothing_on_the_port_of_tls_counts_from_the_start(listener: Listener) -> None:
    """Before the handshake, which costs memory: who is over a limit does not get that far."""
    port = listener.mailspool.smtps_port
    with listener.settings(max_connections=2), ExitStack() as silent:
        for _ in range(2):
            silent.enter_context(closing(socket.create_connection(("127.0.0.1", port), 10)))
        with closing(socket.create_connection(("127.0.0.1", port), 10)) as third:
            third.settimeout(10)
            assert _ends(third)
        # Another port has room of its own.
        with listener.client() as client:
            assert client.do("NOOP").code == 250


def test_a_port_that_strangers_fill_leaves_the_others_alone(listener: Listener) -> None:
    with listener.settings(max_connections=2), listener.client(), listener.client():
        with listener.client(greet=False) as refused:
            assert refused.greeting.status == "421 4.3.2"
        with listener.submission() as client:
            assert client.do("NOOP").code == 250


def test_a_session_that_brings_no_message_ends(listener: Listener) -> None:
    _, message = listener.message()
    with listener.client() as client:
        for _ in range(90):
            assert client.do("NOOP").code == 250
        client.begin(X, ANN)
        assert client.content(message).code == 250
        replies = [client.do("RSET").code for _ in range(100)]
        assert replies == [250] * 100
        assert client.do("NOOP").status == "421 4.7.0"


def test_recipients_are_counted_by_how_often_they_are_named(listener: Listener) -> None:
    with listener.settings(max_recipients=5), listener.client() as client:
        client.begin(X)
        codes = [client.do(f"RCPT TO:<{ANN}>").code for _ in range(7)]
    assert codes == [250] * 5 + [452] * 2


def _ends(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
