"""A listener is started anew while clients come: nobody is refused, and what was answered 250 is there."""

from __future__ import annotations

import itertools
import signal
import socket
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.spool.smtpd.conftest import ANN, an_installation
from tests.spool.smtpd.dialogue import Dialogue, stuffed
from tests.support.mailspool_process import PROJECT, MailspoolUnderTest
from tests.support.ports import free_port, is_listening
from tests.support.postgres import PostgresServer
from tests.support.service_manager import Service, ServiceManager, listening_socket
from tests.support.waiting import wait_until

X = "x@elsewhere.test"
_ENVELOPE = (b"EHLO client.test\r\n", f"MAIL FROM:<{X}>\r\n".encode(), f"RCPT TO:<{ANN}>\r\n".encode(), b"DATA\r\n")
COMMAND = [sys.executable, "manage.py", "smtpd", "--skip-checks"]


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[MailspoolUnderTest]:
    mailspool = an_installation(tmp_path_factory.mktemp("restart"), durable_postgres, "restart")
    mailspool.redis.start()
    yield mailspool
    mailspool.kill()


@pytest.fixture
def manager() -> Iterator[ServiceManager]:
    with ServiceManager() as manager:
        yield manager


def _service(manager: ServiceManager, mailspool: MailspoolUnderTest, **env: str) -> Service:
    log = mailspool.logs / "service.log"
    log.unlink(missing_ok=True)
    return Service(manager, "service", COMMAND, log, {**mailspool.env, **env}, PROJECT)


@pytest.fixture
def service(manager: ServiceManager, installation: MailspoolUnderTest) -> Iterator[Service]:
    """A listener that runs, its sockets kept by the manager."""
    service = _service(manager, installation)
    service.start()
    manager.wait_for("READY=1", 60)
    manager.forget()
    yield service
    service.kill()


class Traffic:
    """Clients that send one message after the other, each on a connection of its own."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.taken: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send_all) for _ in range(clients)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for_more(self) -> None:
        """Until some messages more have been taken."""
        before = len(self.taken)
        wait_until(lambda: len(self.taken) > before + 20, "mail is taken", 30)

    def _send_all(self) -> None:
        while not self._stop.is_set():
            subject = f"Traffic {next(self._numbers)}"
            try:
                self.outcomes[self._send(subject)] += 1
            except (OSError, EOFError) as error:
                self.outcomes[repr(error)] += 1

    def _send(self, subject: str) -> str:
        with Dialogue(self._port, greet=False) as client:
            reply = client.greeting
            for command in (*_ENVELOPE, f"Subject: {subject}\r\n\r\n.\r\n".encode()):
                if reply.code >= 400:
                    return reply.status
                client.send(command)
                reply = client.reply(enhanced=False)
            if reply.code == 250:
                self.taken.append(subject)
            return reply.status


@pytest.mark.parametrize("held", ["kept", pytest.param("given", marks=pytest.mark.long)])
def test_a_restart_under_traffic_refuses_nobody_and_loses_nothing(
    manager: ServiceManager, installation: MailspoolUnderTest, held: str
) -> None:
    """`kept` by systemd for a listener that opened them, or `given` by a socket unit."""
    if held == "given":
        manager.sockets["smtp"] = [listening_socket()]
    port = manager.sockets["smtp"][0].getsockname()[1] if held == "given" else installation.smtp_port
    service = _service(manager, installation)
    try:
        service.start()
        manager.wait_for("READY=1", 60)
        with Traffic(port) as traffic:
            for _ in range(2):
                traffic.wait_for_more()
                assert service.stop() == 0
                manager.forget()
                service.start()
                manager.wait_for("READY=1", 60)
            traffic.wait_for_more()
    finally:
        service.stop()
    assert set(traffic.outcomes) <= {"250 2.0.0", "421 4.3.2"}, traffic.outcomes
    rows = Counter(subject for (subject,) in installation.rows("SELECT subject FROM spool_entry"))
    assert {subject: rows[subject] for subject in traffic.taken} == dict.fromkeys(traffic.taken, 1)
    installation.run("from spool.models import Entry; Entry.objects.all().delete()")


def test_two_generations_at_once_share_the_sockets_and_the_older_one_leaves_unnoticed(
    manager: ServiceManager, installation: MailspoolUnderTest
) -> None:
    manager.sockets["smtp"] = [listening_socket()]
    port = manager.sockets["smtp"][0].getsockname()[1]
    env = {"MAILSPOOL_SUBMISSION_PORT": "0", "MAILSPOOL_SMTPS_PORT": "0"}
    old, new = _service(manager, installation, **env), _service(manager, installation, **env)
    try:
        old.start()
        manager.wait_for("READY=1", 60)
        with Traffic(port) as traffic:
            manager.forget()
            new.start()
            manager.wait_for("READY=1", 60)
            assert old.stop() == 0
            traffic.wait_for_more()
    finally:
        old.kill()
        new.stop()
    assert set(traffic.outcomes) <= {"250 2.0.0", "421 4.3.2"}, traffic.outcomes


def test_a_client_that_ends_its_message_in_the_drain_hears_250_and_421_at_once(
    service: Service, installation: MailspoolUnderTest
) -> None:
    wire = stuffed(b"Subject: In the drain\r\n\r\n" + b"Line\r\n" * 1000)
    with Dialogue(installation.smtp_port) as client, Dialogue(installation.smtp_port) as idle:
        client.begin(X, ANN)
        client.do("DATA")
        client.send(wire[:3000])
        service.signal(signal.SIGTERM)
        assert idle.reply().status == "421 4.3.2"
        assert idle.is_closed
        client.send(wire[3000:])
        assert client.reply().status == "250 2.0.0"
        assert client.reply().status == "421 4.3.2", "it has said nothing more"
        assert client.is_closed
    assert service.wait(10) == 0
    assert installation.rows("SELECT count(*) FROM spool_entry WHERE subject = 'In the drain'") == [(1,)]


def test_a_client_that_gives_its_message_up_in_the_drain_hears_421_at_once(
    service: Service, manager: ServiceManager, installation: MailspoolUnderTest
) -> None:
    with Dialogue(installation.smtp_port) as client:
        client.begin(X, ANN)
        service.signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert client.do("RSET").status == "250 2.0.0"
        assert client.reply().status == "421 4.3.2"
    assert service.wait(10) == 0


def test_a_client_that_says_nothing_amid_its_message_does_not_hold_up_a_restart(
    service: Service, manager: ServiceManager, installation: MailspoolUnderTest
) -> None:
    with Dialogue(installation.smtp_port) as client:
        client.begin(X, ANN)
        service.signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert client.reply().status == "421 4.3.2"
        assert client.is_closed
    assert service.wait(10) == 0


def test_clients_amid_a_login_or_a_handshake_hear_421_in_its_place(
    service: Service, manager: ServiceManager, installation: MailspoolUnderTest
) -> None:
    with (
        Dialogue(installation.submission_port) as asked,
        Dialogue(installation.smtp_port) as between,
        socket.create_connection(("127.0.0.1", installation.smtps_port), 30) as implicit,
    ):
        asked.starttls()
        assert asked.do("AUTH LOGIN").code == 334
        assert between.do("STARTTLS").code == 220
        # A later connection is answered, so the one before it has been accepted: it is not left to the successor.
        with Dialogue(installation.smtps_port, tls=True):
            pass
        service.signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert asked.reply().status == "421 4.3.2"
        between.wrap()
        assert between.reply().status == "421 4.3.2"
        assert between.is_closed
        with ssl._create_unverified_context().wrap_socket(implicit) as greeted:
            assert greeted.recv(1024).startswith(b"421 4.3.2 The server is stopping")
    assert service.wait(10) == 0


def test_systemd_hears_how_it_goes(service: Service, manager: ServiceManager, installation: MailspoolUnderTest) -> None:
    assert [name for name, _ in manager.stored] == ["kept-smtp", "kept-submission", "kept-smtps"]
    service.signal(signal.SIGHUP)
    manager.wait_for("READY=1")
    said = manager.hear()
    assert said.index("RELOADING=1") < said.index("READY=1")
    assert any(line.startswith("MONOTONIC_USEC=") for line in said)
    assert f"STATUS=listening on 127.0.0.1:{installation.smtp_port}" in "\n".join(said)
    assert service.stop() == 0
    assert "STOPPING=1" in manager.hear()
    assert is_listening(installation.smtp_port), "the socket is kept"


def test_a_changed_environment_counts_at_the_next_start_and_old_sockets_are_let_go(
    service: Service, manager: ServiceManager, installation: MailspoolUnderTest
) -> None:
    assert service.stop() == 0
    other = free_port()
    env = {"MAILSPOOL_SMTP_PORT": f"127.0.0.1:{installation.smtp_port}, {other}", "MAILSPOOL_SUBMISSION_PORT": "0"}
    changed = _service(manager, installation, **env)
    changed.start()
    try:
        manager.wait_for("READY=1", 60)
        assert is_listening(other)
        assert is_listening(installation.smtp_port)
        assert not is_listening(installation.submission_port)
        assert sorted(name for name, _ in manager.stored) == ["kept-smtp", "kept-smtp", "kept-smtps"]
        with Dialogue(installation.smtp_port) as client:
            client.begin(X, ANN)
    finally:
        assert changed.stop() == 0


@pytest.mark.long
def test_a_listener_that_starts_before_its_database_tells_clients_to_come_back_until_it_is_there(
    tmp_path_factory: pytest.TempPathFactory, manager: ServiceManager
) -> None:
    # On the run with SQLite too, whose file is never away.
    own = PostgresServer()
    own.start()
    mailspool = an_installation(tmp_path_factory.mktemp("early"), own, "early")
    own.stop()
    service = _service(manager, mailspool)
    try:
        mailspool.redis.start()
        service.start()
        wait_until(lambda: any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in manager.hear()), "it waits", 60)
        assert any("STATUS=waiting: The database does not answer" in line for line in manager.messages)
        for port in (mailspool.smtp_port, mailspool.submission_port):
            with Dialogue(port, greet=False) as client:
                assert client.greeting.raw.startswith(b"421 4.3.2 The server is still starting")
                assert client.is_closed
        with socket.create_connection(("127.0.0.1", mailspool.smtps_port), 30) as implicit:
            assert implicit.recv(1024) == b""
        assert service.stop() == 0, "a stop is heard meanwhile"
        assert "READY=1" not in manager.hear()
        service.start()
        own.start()
        manager.wait_for("READY=1", 60)
        with Dialogue(mailspool.smtp_port) as client:
            client.begin(X, ANN)
            assert client.content(b"Subject: At last\r\n\r\n").code == 250
        assert "Traceback" not in service.log_tail(100_000)
        assert "waiting: The database does not answer" in service.log_tail(100_000)
    finally:
        service.kill()
        mailspool.kill()
        own.remove()
