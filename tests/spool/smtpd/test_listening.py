"""Where a listener listens, as clients find it: addresses of its own, and sockets that were handed over."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.spool.smtpd.conftest import ANN, an_installation
from tests.spool.smtpd.dialogue import Dialogue
from tests.support.daemon import Daemon
from tests.support.mailspool_process import PROJECT, MailspoolUnderTest
from tests.support.ports import free_port, is_listening
from tests.support.postgres import PostgresServer
from tests.support.service_manager import Service, ServiceManager, listening_socket

X = "x@elsewhere.test"


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[MailspoolUnderTest]:
    mailspool = an_installation(tmp_path_factory.mktemp("listening"), durable_postgres, "listening")
    mailspool.redis.start()
    yield mailspool
    mailspool.kill()


COMMAND = [sys.executable, "manage.py", "smtpd", "--skip-checks"]


def _received(mailspool: MailspoolUnderTest, subject: str) -> str:
    line = f"Subject: {subject}\r\n"
    [content] = [text for content in mailspool.contents() if line in (text := content.decode())]
    return content.partition("Subject:")[0]


def test_ports_and_addresses_for_each_listener_and_one_turned_off(installation: MailspoolUnderTest) -> None:
    first, second, own = free_port(), free_port(), free_port()
    places = {
        "MAILSPOOL_BIND": "127.0.0.1,::1",
        "MAILSPOOL_SMTP_PORT": f"{first}, 127.0.0.2:{second}",
        "MAILSPOOL_SUBMISSION_PORT": f"[::1]:{own}",
        "MAILSPOOL_SMTPS_PORT": "0",
    }
    log = installation.logs / "addresses.log"
    listener = Daemon("addresses", COMMAND, log, env={**installation.env, **places}, cwd=PROJECT)
    listener.start(lambda: listener.has_printed("listening on"))
    try:
        line = f"listening on 127.0.0.1:{first}, [::1]:{first}, 127.0.0.2:{second}, [::1]:{own}\n"
        assert line in listener.log_tail()
        assert is_listening(second, "127.0.0.2")
        assert not is_listening(second)
        with Dialogue(first) as client:
            client.ehlo()
            client.begin(X, ANN)
    finally:
        assert listener.stop() == 0


def test_a_socket_of_both_families_from_systemd_shows_clients_by_ipv4_as_such(
    installation: MailspoolUnderTest,
) -> None:
    with ServiceManager({"smtp": [listening_socket("::")], "submission": [listening_socket()]}) as manager:
        service = Service(manager, "activated", COMMAND, installation.logs / "activated.log", installation.env, PROJECT)
        service.start(lambda: service.has_printed("listening on"))
        try:
            port, submission = (manager.sockets[name][0].getsockname()[1] for name in ("smtp", "submission"))
            places = f"[::]:{port}, 127.0.0.1:{submission}, 127.0.0.1:{installation.smtps_port}"
            assert f"listening on {places}\n" in service.log_tail(), "the port of its own is the environment's"
            with Dialogue(port) as client:
                client.ehlo()
                client.begin(X, ANN)
                assert client.content(b"Subject: By IPv4\r\n\r\n").code == 250
            with Dialogue(submission) as client:
                assert "STARTTLS" in client.ehlo().lines
        finally:
            assert service.stop() == 0
    assert "([127.0.0.1])" in _received(installation, "By IPv4")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--socket=pop3=0", "A socket named “pop3” was handed over; the names are smtp, submission, smtps, web"),
        ("--socket=smtp=0", "Descriptor 0, for smtp, is no socket"),
        ("--socket=smtp", "smtp names no socket; it is written as smtp=7"),
    ],
)
def test_what_is_no_socket_of_ours_is_refused_with_a_sentence(
    installation: MailspoolUnderTest, option: str, sentence: str
) -> None:
    done = installation.manage("smtpd", "--skip-checks", option, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_ends_the_start_with_a_sentence(installation: MailspoolUnderTest) -> None:
    with listening_socket() as taken:
        port = taken.getsockname()[1]
        log = installation.logs / "taken.log"
        env = {**installation.env, "MAILSPOOL_SMTP_PORT": str(port)}
        listener = Daemon("taken", COMMAND, log, env=env, cwd=PROJECT)
        listener.start()
        assert listener.wait(60) == 1
    assert f"Port {port} on 127.0.0.1, for SMTP, is used by another program" in listener.log_tail()
    assert "Traceback" not in listener.log_tail()
