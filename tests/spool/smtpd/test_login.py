"""STARTTLS, implicit TLS and AUTH."""

from __future__ import annotations

import smtplib
import ssl
import time

import pytest

from tests.spool.smtpd.conftest import ANN, BOB, Listener
from tests.spool.smtpd.dialogue import Dialogue, b64
from tests.support.mailspool_process import PASSWORD

PLAIN = b64(f"\0{ANN}\0{PASSWORD}")


def test_starttls_is_offered_before_tls_and_auth_only_after(listener: Listener) -> None:
    with listener.client(greet=False) as client:
        before = client.ehlo().lines
        client.starttls()
        after = client.ehlo().lines
    assert "STARTTLS" in before
    assert not any(line.startswith("AUTH") for line in before)
    assert "AUTH PLAIN LOGIN" in after
    assert "STARTTLS" not in after


def test_what_was_said_before_starttls_is_forgotten(listener: Listener) -> None:
    with listener.client() as client:
        client.begin(ANN, BOB)
        assert client.do("STARTTLS").code == 220
        client.wrap()
        assert client.do("RCPT TO:<bob@here.test>").status == "503 5.5.1"
        assert client.do(f"MAIL FROM:<{ANN}>").status == "503 5.5.1", "EHLO is needed anew"
        assert client.do("AUTH PLAIN AGEAYg==").status == "503 5.5.1", "EHLO is needed anew"


@pytest.mark.parametrize(
    "injected", [b"NOOP\r\n", b"EHLO evil.test\r\nMAIL FROM:<evil@evil.test>\r\nRCPT TO:<ann@here"]
)
def test_plain_text_sent_along_with_starttls_is_never_run(listener: Listener, injected: bytes) -> None:
    with listener.client() as client:
        client.send(b"STARTTLS\r\n" + injected)
        assert client.reply().code == 220
        client.wrap()
        client.send(b".test>\r\n")
        assert client.reply().status == "500 5.5.2"
        client.ehlo()
        assert client.do("RCPT TO:<ann@here.test>").status == "503 5.5.1"


def test_chunks_sent_before_starttls_are_not_in_the_message_after_it(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.begin("evil@elsewhere.test", BOB)
        client.send(b"BDAT 11\r\nX-Evil: 1\r\n")
        assert client.reply().status == "250 2.0.0"
        client.starttls()
        client.begin("x@elsewhere.test", BOB)
        client.send(b"BDAT %d LAST\r\n" % len(message) + message)
        assert client.reply().code == 250
    assert b"X-Evil" not in listener.only(subject).content


def test_starttls_comes_once_and_without_an_argument(listener: Listener) -> None:
    with listener.client() as client:
        assert client.do("STARTTLS now").status == "501 5.5.4"
        client.starttls()
        assert client.do("STARTTLS").status == "503 5.5.1"


def test_a_broken_handshake_gives_its_connection_back(listener: Listener) -> None:
    with listener.settings(max_connections_per_ip=3):
        for _ in range(6):
            with listener.client() as client:
                assert client.do("STARTTLS").code == 220
                client.send(b"this is no TLS record\r\n" * 10)
                try:
                    while client.socket.recv(1000):
                        pass
                except ConnectionError:
                    pass
        with listener.client() as client:
            assert client.greeting.code == 220


def test_the_port_of_implicit_tls_wants_no_starttls(listener: Listener) -> None:
    with Dialogue(listener.mailspool.smtps_port, tls=True) as client:
        assert client.login(ANN, PASSWORD).status == "235 2.7.0"
        assert client.do("STARTTLS").status == "503 5.5.1"


def test_old_tls_versions_are_refused(listener: Listener) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with listener.client() as client:
        client.do("STARTTLS")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(client.socket, server_hostname="mail.test")


@pytest.mark.parametrize("port", ["smtp_port", "submission_port"])
def test_no_password_is_taken_in_the_clear(listener: Listener, port: str) -> None:
    with Dialogue(getattr(listener.mailspool, port)) as client:
        reply = client.login(ANN, PASSWORD)
        assert reply.status == "538 5.7.11"
        assert "STARTTLS" in reply.text


@pytest.mark.parametrize(
    "words",
    [
        [f"AUTH PLAIN {PLAIN}"],
        ["AUTH PLAIN", PLAIN],
        [f"auth plain {b64(f'{ANN}{chr(0)}{ANN}{chr(0)}{PASSWORD}')}"],
        ["AUTH LOGIN", b64(ANN), b64(PASSWORD)],
        [f"AUTH LOGIN {b64(ANN.upper())}", b64(PASSWORD)],
    ],
)
def test_both_mechanisms_let_in(listener: Listener, words: list[str]) -> None:
    with listener.client() as client:
        client.starttls()
        for word in words[:-1]:
            assert client.do(word).code == 334
        assert client.do(words[-1]).status == "235 2.7.0"
        assert client.do(words[0]).status == "503 5.5.1", "AUTH comes once"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["AUTH PLAIN", "*"], "501 5.7.0"),
        (["AUTH LOGIN", "*"], "501 5.7.0"),
        (["AUTH LOGIN", b64(ANN), "*"], "501 5.7.0"),
        (["AUTH PLAIN !!!"], "501 5.5.2"),
        (["AUTH PLAIN AAA"], "501 5.5.2"),
        (["AUTH PLAIN /w=="], "501 5.5.2"),
        ([f"AUTH PLAIN {b64('no separators')}"], "501 5.5.2"),
        ([f"AUTH PLAIN {b64(f'someone{chr(0)}{ANN}{chr(0)}{PASSWORD}')}"], "501 5.5.2"),
        (["AUTH LOGIN", b64("a\0b")], "501 5.5.2"),
        (["AUTH LOGIN", "\u00e4"], "501 5.5.2"),
        (["AUTH CRAM-MD5"], "504 5.5.4"),
        (["AUTH"], "504 5.5.4"),
        (["AUTH PLAIN", "A" * 10_000], "500 5.5.6"),
    ],
)
def test_a_login_that_is_none_is_told_why_and_the_session_goes_on(
    listener: Listener, words: list[str], status: str
) -> None:
    with listener.client() as client:
        client.starttls()
        for word in words[:-1]:
            assert client.do(word).code == 334
        assert client.do(words[-1]).status == status
        assert client.login(ANN, PASSWORD).code == 235


def test_the_third_wrong_password_ends_the_session(listener: Listener) -> None:
    with listener.client() as client:
        client.starttls()
        for _ in range(3):
            started = time.monotonic()
            assert client.login(ANN, "wrong").status == "535 5.7.8"
            assert time.monotonic() - started >= 1.0
        assert client.reply().status == "421 4.7.0"
        assert client.is_closed


@pytest.mark.parametrize(
    "username", ["off@here.test", "receiving@here.test", "ann@off.test", "ann@receiving.test", "nobody@here.test", ""]
)
def test_who_may_not_send_is_not_let_in(listener: Listener, username: str) -> None:
    with listener.client() as client:
        client.starttls()
        assert client.login(username, PASSWORD).status == "535 5.7.8"


def test_a_changed_password_counts_at_once(listener: Listener) -> None:
    with listener.submission(BOB):
        pass
    change = (
        "from accounts.models import User; user = User.objects.get(email='{}'); user.set_password('{}'); user.save()"
    )
    listener.mailspool.run(change.format(BOB, "another-long-password"))
    try:
        with listener.client() as client:
            client.starttls()
            assert client.login(BOB, PASSWORD).status == "535 5.7.8"
            assert client.login(BOB, "another-long-password").status == "235 2.7.0"
    finally:
        listener.mailspool.run(change.format(BOB, PASSWORD))


def test_the_login_is_recorded_with_the_message(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.submission() as client:
        client.begin(ANN, "dan@elsewhere.test")
        assert client.content(message).code == 250
    stored = listener.only(subject)
    assert stored.row["auth_user"] == ANN
    assert b"with ESMTPSA id" in stored.content


def test_smtplib_logs_in_as_it_likes(listener: Listener) -> None:
    with smtplib.SMTP("127.0.0.1", listener.mailspool.submission_port, timeout=20) as client:
        client.starttls(context=ssl._create_unverified_context())
        assert client.login(ANN, PASSWORD)[0] == 235


def test_an_entry_names_the_session_that_it_came_in_by(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.submission() as client:
        client.begin(ANN, BOB)
        assert client.content(message).code == 250
    row = listener.only(subject).row
    assert (row["auth_user"], row["port"]) == (ANN, listener.mailspool.submission_port)
    assert row["tls"].startswith("TLSv1.")
    subject, message = listener.message()
    with listener.client() as client:
        client.begin("zoe@elsewhere.test", BOB)
        assert client.content(message).code == 250
    row = listener.only(subject).row
    assert (row["auth_user"], row["port"], row["tls"]) == ("", listener.mailspool.smtp_port, "")
