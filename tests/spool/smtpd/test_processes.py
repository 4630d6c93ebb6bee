"""The listener as a process: what it notices while it runs, how it shares its ports, and how it ends."""

from __future__ import annotations

import os
import signal
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.spool.smtpd.conftest import ANN, Listener, an_installation
from tests.spool.smtpd.dialogue import Dialogue, stuffed
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

X = "x@elsewhere.test"


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[MailspoolUnderTest]:
    """Two listeners that share the ports; a test may stop them and start them again."""
    mailspool = an_installation(tmp_path_factory.mktemp("pair"), durable_postgres, "pair", listeners=2)
    mailspool.redis.start()
    yield mailspool
    mailspool.kill()


@pytest.fixture
def listeners(pair: MailspoolUnderTest) -> MailspoolUnderTest:
    """Both running."""
    for daemon in pair.listeners:
        if not daemon.alive:
            daemon.log.unlink(missing_ok=True)
            daemon.start(lambda daemon=daemon: daemon.has_printed("listening on"))  # type: ignore[misc]
    return pair


def _sockets(pid: int) -> int:
    return sum(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:") for fd in os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH115, PTH208


def test_both_listeners_take_sessions(listeners: MailspoolUnderTest) -> None:
    before = [_sockets(daemon.pid) for daemon in listeners.listeners]
    clients = [Dialogue(listeners.smtp_port) for _ in range(40)]
    taken = [_sockets(daemon.pid) - count for daemon, count in zip(listeners.listeners, before, strict=True)]
    for client in clients:
        client.begin(X, ANN)
        assert client.content(b"Subject: Both\r\n\r\n").code == 250
        client.socket.close()
    # A few more may be for Redis and the database.
    assert sum(taken) >= 40
    assert min(taken) >= 9, taken


def test_when_one_listener_stops_the_other_goes_on(listeners: MailspoolUnderTest) -> None:
    first, second = listeners.listeners
    assert first.stop(10) == 0
    for _ in range(10):
        with Dialogue(listeners.smtp_port) as client:
            client.begin(X, ANN)
    assert second.alive


def test_a_listener_whose_committer_is_killed_refuses_for_now_and_ends(listeners: MailspoolUnderTest) -> None:
    first, second = listeners.listeners
    second.stop(10)
    with Dialogue(listeners.smtp_port) as client:
        client.begin(X, ANN)
        assert client.do("DATA").code == 354
        for child in Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        client.send(b"Subject: Killed\r\n\r\nx\r\n.\r\n")
        assert client.reply().code in (451, 421)
    wait_until(lambda: not first.alive, "the listener has ended", 40)
    assert "the committer died" in first.log_tail()
    assert listeners.count("spool_entry WHERE subject = 'Killed'") == 0


def test_a_message_that_has_begun_is_finished_before_the_listener_ends(listeners: MailspoolUnderTest) -> None:
    listeners.listeners[1].stop()
    daemon = listeners.listeners[0]
    wire = stuffed(b"Subject: In the middle\r\n\r\n" + b"Line\r\n" * 1000)
    with Dialogue(listeners.smtp_port) as client, Dialogue(listeners.smtp_port) as idle:
        client.begin(X, ANN)
        client.do("DATA")
        client.send(wire[:3000])
        time.sleep(0.1)
        daemon.signal(signal.SIGTERM)
        # Whoever has nothing under way is sent away at once.
        assert idle.reply().status == "421 4.3.2"
        assert idle.is_closed
        with pytest.raises(OSError, match="refused"):
            Dialogue(listeners.smtp_port)
        client.send(wire[3000:])
        assert client.reply().status == "250 2.0.0"
        client.send(b"NOOP\r\n")
        assert client.reply().status == "421 4.3.2"
        assert client.is_closed
    assert daemon.wait(10) == 0
    assert listeners.rows("SELECT count(*) FROM spool_entry WHERE subject = 'In the middle'") == [(1,)]


def test_a_transaction_without_its_message_may_still_send_it(listeners: MailspoolUnderTest) -> None:
    listeners.listeners[1].stop()
    with Dialogue(listeners.smtp_port) as client:
        client.begin(X, ANN)
        listeners.listeners[0].signal(signal.SIGTERM)
        time.sleep(0.3)
        assert client.content(b"Subject: Just in time\r\n\r\n").code == 250
    assert listeners.listeners[0].wait(10) == 0
    assert listeners.rows("SELECT count(*) FROM spool_entry WHERE subject = 'Just in time'") == [(1,)]


def test_a_broken_certificate_does_not_keep_mail_out(listeners: MailspoolUnderTest, tmp_path: Path) -> None:
    for daemon in listeners.listeners:
        daemon.stop()
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    Listener(listeners).write_settings({"tls_certificate": str(broken), "tls_key": str(broken)})
    daemon = listeners.listeners[0]
    daemon.log.unlink()
    try:
        daemon.start(lambda: "listening on" in daemon.log_tail(500))
        with Dialogue(listeners.smtp_port) as client:
            client.starttls()
        assert "can't be used" in daemon.log_tail()
    finally:
        Listener(listeners).write_settings({"tls_certificate": "", "tls_key": ""})


def test_a_changed_setting_counts_within_about_a_second(listener: Listener) -> None:
    before = listener.rows("SELECT max_message_kb FROM spool_settings")[0]
    with listener.client() as client:
        listener.write_settings({"max_message_kb": 77})
        try:
            wait_until(lambda: f"SIZE {77 * 1024}" in client.ehlo().lines, "EHLO says so", 5)
        finally:
            listener.write_settings(before)
        wait_until(lambda: f"SIZE {77 * 1024}" not in client.ehlo().lines, "EHLO says so", 5)


def test_a_new_user_can_be_written_to_within_about_a_second(listener: Listener) -> None:
    with listener.client() as client:
        client.begin(X)
        assert client.do("RCPT TO:<new@here.test>").status == "550 5.1.1"
        listener.mailspool.run(
            "from accounts.models import *\n"
            "User.objects.create_user('new@here.test', None, domain=Domain.objects.get(name='here.test'))"
        )
        wait_until(lambda: client.do("RCPT TO:<new@here.test>").code == 250, "the user is known", 5, every=0.3)


def test_a_new_certificate_is_shown_on_every_port_without_a_restart(listener: Listener, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = [_make_certificate(certificate, key)]
    with listener.settings(tls_certificate=str(certificate), tls_key=str(key)):
        assert _shown(listener) == made
        # Renewed under the same names: noticed by itself.
        made = [_make_certificate(certificate, key)]
        wait_until(lambda: _shown(listener) == made, "the renewed certificate is shown", 12, every=0.2)
        # Broken: the last good one stays.
        certificate.write_text("no certificate")
        listener._reload()
        assert _shown(listener) == made
        assert "can't be used" in listener.mailspool.listeners[0].log_tail()
    assert _shown(listener) != made


def _shown(listener: Listener) -> list[bytes]:
    """The different certificates that our two kinds of TLS show."""
    shown = set()
    with Dialogue(listener.mailspool.smtps_port, tls=True) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        shown.add(client.socket.getpeercert(binary_form=True) or b"")
    with listener.client() as client:
        client.starttls()
        assert isinstance(client.socket, ssl.SSLSocket)
        shown.add(client.socket.getpeercert(binary_form=True) or b"")
    return sorted(shown)


def _make_certificate(certificate: Path, key: Path) -> bytes:
    """A new pair in these files (RSA, unlike the self-signed one of the first run); the certificate in DER."""
    secret = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(secret, hashes.SHA256())
    )
    pkcs8, unsealed = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.write_bytes(secret.private_bytes(serialization.Encoding.PEM, pkcs8, unsealed))
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return made.public_bytes(serialization.Encoding.DER)


@pytest.mark.long
def test_a_database_that_is_away_is_answered_451_and_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    # On the run with SQLite too, whose file is never away.
    own = PostgresServer()
    own.start()
    mailspool = an_installation(tmp_path_factory.mktemp("away"), own, "away")
    try:
        mailspool.redis.start()
        mailspool.listeners[0].start()
        mailspool.wait_for_listener()
        with Dialogue(mailspool.smtp_port) as client:
            client.begin(X, ANN)
            own.stop()
            time.sleep(1.5)
            assert client.do("RCPT TO:<bob@here.test>").status == "451 4.3.0"
            assert client.content(b"Subject: Away\r\n\r\n").status == "451 4.3.0"
            own.start()
            time.sleep(1.5)
            for number in range(20):
                client.begin(X, f"u{number}@here.test")
                assert client.content(b"Subject: Back\r\n\r\n").code == 250
    finally:
        mailspool.kill()
        own.remove()
