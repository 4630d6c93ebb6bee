"""One installation that logs into a file, for all tests of the folder: with web, a sink, and a DNS."""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from spool.events import mail_log
from spool.events.line import Value
from tests.support.dns import DNSServer
from tests.support.mail_log import MailLog
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink

ANN, BOB = "ann@here.test", "bob@here.test"
_numbers = count(1)
# By clients of both families, and by browsers behind a proxy.
_REACHED = {"MAILSPOOL_BIND": "127.0.0.1,::1", "MAILSPOOL_PROXIES": "127.0.0.1"}


@dataclass(frozen=True)
class Logged:
    """The installation, and its log."""

    mailspool: MailspoolUnderTest
    log: MailLog
    dns: DNSServer

    def send(self, sender: str, to: str | list[str], **options: str) -> str:
        """Send a message; returns its queue id."""
        subject = f"Message {next(_numbers)}"
        with self.mailspool.smtp() as client:
            client.mail(sender)
            for address in [to] if isinstance(to, str) else to:
                client.rcpt(address)
            code, reply = client.data(a_message(subject=subject, **options))
        assert code == 250, reply
        return reply.decode().rpartition(" ")[2].removesuffix(".eml")

    def submission(self) -> smtplib.SMTP:
        """A client of the submission port, under TLS."""
        client = smtplib.SMTP("127.0.0.1", self.mailspool.submission_port, local_hostname="laptop.test", timeout=30)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client.starttls(context=context)
        client.ehlo()
        return client


def an_installation(folder: Path, url: str, dns: DNSServer, sink: CountingSink, **env: str) -> MailspoolUnderTest:
    mailspool = MailspoolUnderTest(folder, database_url=url, dns=dns.address, web=True, env=env)
    mailspool.prepare()
    mailspool.add_domain("here.test", "ann", "bob")
    mailspool.settings(
        bypass_networks="127.0.0.0/8", smtp_out_port=sink.port, dead_host_seconds=1, delivery_delay_seconds=0
    )
    return mailspool


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("events")
    folder.chmod(0o755)
    sink = CountingSink(folder, keep=True)
    url = durable_postgres.create_database("events") if durable_postgres else ""
    with DNSServer() as dns:
        sink.start()
        # A host of its own for the recipes: the others rest the longer the more tests have failed at them.
        for name, ip in (("sink", "127.0.0.1"), ("dead", "127.0.0.99"), ("gone", "127.0.0.99"), ("down", "127.0.0.98")):
            dns.add(f"{name}.test", "MX", f"10 mx.{name}.test.")
            dns.add(f"mx.{name}.test", "A", ip)
        dns.add("refusing.test", "MX", "0 .")
        log = folder / "mail.log"
        mailspool = an_installation(folder, url, dns, sink, MAILSPOOL_LOG=f"file:{log}", **_REACHED)
        mailspool.start()
        yield Logged(mailspool, MailLog(log), dns)
        mailspool.kill()
        sink.stop()


@pytest.fixture
def logged(running: Logged) -> Iterator[Logged]:
    """The installation, with an empty spool afterwards."""
    yield running
    if not running.mailspool.is_empty:
        running.mailspool.run("from spool.models import Entry, Recipient\nEntry.objects.all().delete()")


@pytest.fixture
def events() -> Iterator[list[dict[str, Value]]]:
    """What this process has logged."""
    found: list[dict[str, Value]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert isinstance(record.msg, mail_log.Event)
            found.append(record.msg.fields)

    log, handler = logging.getLogger(mail_log.NAME), Keep()
    log.addHandler(handler)
    yield found
    log.removeHandler(handler)


__all__ = ["PASSWORD"]
