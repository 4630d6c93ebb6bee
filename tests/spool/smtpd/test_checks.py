"""The check chain: somebody else's class has a say at each step."""

from __future__ import annotations

import pytest

from tests.spool.smtpd.checks import REFUSED_IP
from tests.spool.smtpd.conftest import ANN, Listener
from tests.support.mailspool_process import PASSWORD
from tests.support.waiting import wait_until

X = "x@elsewhere.test"


def test_a_check_refuses_a_connection(listener: Listener) -> None:
    with listener.client(source=REFUSED_IP, greet=False) as client:
        assert client.greeting.raw == b"554 5.7.1 on_connect objects\r\n"
        assert client.is_closed


def test_a_check_refuses_a_name(listener: Listener) -> None:
    with listener.client(greet=False) as client:
        assert client.do("EHLO on-ehlo.test").raw == b"550 5.7.1 on_ehlo objects\r\n"
        assert client.do(f"MAIL FROM:<{X}>").status == "503 5.5.1"


def test_a_check_refuses_a_login(listener: Listener) -> None:
    with listener.client() as client:
        client.starttls()
        assert client.login("on-auth@here.test", PASSWORD).raw == b"454 4.7.0 on_auth objects\r\n"


def test_a_check_refuses_a_sender(listener: Listener) -> None:
    with listener.client() as client:
        assert client.do("MAIL FROM:<on-mail@elsewhere.test>").raw == b"450 4.7.1 on_mail objects\r\n"
        assert client.do(f"MAIL FROM:<{X}>").code == 250


def test_a_check_refuses_a_recipient(listener: Listener) -> None:
    with listener.client() as client:
        client.begin(X)
        assert client.do("RCPT TO:<on-rcpt@here.test>").raw == b"451 4.7.1 on_rcpt objects\r\n"
        assert client.do(f"RCPT TO:<{ANN}>").code == 250


def test_recipients_that_a_domain_sends_nothing_are_refused_to_its_users_alone(listener: Listener) -> None:
    dead, other = "Dead@elsewhere.test", "postmaster@elsewhere.test"
    with listener.submission("ann@strict.test") as client:
        client.begin("ann@strict.test", X, other)
        refused = client.do(f"RCPT TO:<{dead}>").raw.decode()
        assert refused.startswith(f"550 5.7.1 <{dead}>: strict.test sends nothing to this address since 2026-03-02")
        assert "because mail to it bounced for good" in refused
        assert client.do(f"RCPT TO:<{ANN}>").code == 250
    with listener.submission(ANN) as client:
        client.begin(ANN, dead)


def test_a_check_refuses_the_message_before_it_is_sent(listener: Listener) -> None:
    with listener.client() as client:
        client.begin("on-data@elsewhere.test", ANN)
        assert client.do("DATA").raw == b"550 5.7.1 on_data objects\r\n"
        assert client.do("RSET").code == 250


@pytest.mark.parametrize("chunks", [[b"0"], [b"3 LAST", b"abc"], [b"4", b"a\r\nb"]])
def test_chunks_do_not_pass_by_the_check(listener: Listener, chunks: list[bytes]) -> None:
    before = listener.count()
    with listener.client() as client:
        client.begin("on-data@elsewhere.test", ANN)
        client.send(b"BDAT " + b"\r\n".join(chunks) + (b"\r\n" if len(chunks) == 1 else b""))
        assert client.reply().raw == b"550 5.7.1 on_data objects\r\n"
        client.send(b"BDAT 3 LAST\r\nabc")
        assert client.reply().status == "503 5.5.1"
    assert listener.count() == before


def test_a_check_that_breaks_ends_its_session_and_no_other(listener: Listener) -> None:
    with listener.client() as other, listener.client() as client:
        assert client.do("MAIL FROM:<breaks@elsewhere.test>").status == "421 4.3.0"
        assert client.is_closed
        assert other.do("NOOP").code == 250
    log_tail = listener.mailspool.listeners[0].log_tail
    wait_until(lambda: "a bug in a check" in log_tail(), "its traceback is in the log")
