"""Real passes in the test's own process, with a clock that can be moved on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
import time_machine
from django.conf import settings as django_settings
from django.db import connections
from django.utils import timezone

from accounts import directory
from accounts.models import Domain, User
from base import clock as steady_clock
from spool.delivery import deliveries, routes
from spool.delivery.local.maildir import folder_of
from spool.delivery.remote import backoff, rests
from spool.flow import intake, passes
from spool.models import Entry, RestingHost, Settings
from spool.models import settings as settings_model
from spool.models.recipient import Kind
from spool.rows import lease
from tests.interop.world import parsed
from tests.support.dns import DNSServer
from tests.support.messages import a_recipient, a_submission
from tests.support.smtp_peer import SmtpPeer

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HERE, FAR = "here.test", "far.test"
ANN = f"ann@{HERE}"


class Spool:
    """The spool of this process: mail goes in by intake, and passes run when a test says so."""

    def __init__(self, clock: time_machine.Traveller, peer: SmtpPeer, dns: DNSServer) -> None:
        self._clock = clock
        self._set_by = 0.0
        self.peer = peer
        self.dns = dns

    def settings(self, **values: object) -> None:
        row = Settings.load()
        for name, value in values.items():
            setattr(row, name, value)
        row.full_clean()
        row.save()
        settings_model.forget()

    def take(
        self, to: str | list[str] = f"bob@{FAR}", sender: str = ANN, content: bytes | None = None, **parameters: str
    ) -> str:
        """Take a message in for remote recipients; returns its file name. `parameters` are RFC 3461's."""
        submission = a_submission(sender, to, content=content)
        submission.envelope.envid = parameters.pop("envid", "")
        submission.envelope.ret = parameters.pop("ret", "")
        submission.envelope.recipients = [
            a_recipient(one.address, one.kind, **parameters) for one in submission.envelope.recipients
        ]
        [name] = intake.accept([submission])
        return name

    def take_for_us(self, content: bytes, to: str = ANN, sender: str = "") -> str:
        """Take a message in for a user or list of ours."""
        [name] = intake.accept([a_submission(sender, to, Kind.LOCAL, content=content)])
        return name

    def work(self) -> None:
        """Pass after pass, until nothing is due any more."""
        passes.run()
        while (due := lease.earliest_due()) is not None and due <= timezone.now():
            passes.run()

    def later(self, **delta: float) -> None:
        """Let time go by. What rests is not kept from being tried: that has its own tests."""
        self._clock.shift(timedelta(**delta))
        nothing_rests()

    def set_clock(self, **delta: float) -> None:
        """Somebody sets the machine's clock: no time goes by."""
        self._clock.shift(timedelta(**delta))
        self._set_by += timedelta(**delta).total_seconds()

    def steady(self) -> float:
        """The clock that nobody sets."""
        return time.time() - self._set_by

    def entry(self, name: str) -> Entry:
        return Entry.objects.get(file_name=name)

    def minutes_to_go(self, name: str) -> float:
        """Until the next attempt of a message."""
        due = self.entry(name).next_attempt
        assert due is not None
        return (due - timezone.now()).total_seconds() / 60

    def mailbox(self, address: str = ANN) -> list[EmailMessage]:
        """What is in a mailbox, in the order of its arrival."""
        paths = [path for folder in ("new", "cur") for path in (folder_of(address) / folder).glob("*")]
        return [parsed(path.read_bytes()) for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)]


@pytest.fixture
def spool(transactional_db: None, redis: object, home: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    """A spool with the user ANN, whose remote mail goes to a host of the test's own."""
    directory.forget()
    routes.forget()
    nothing_rests()
    monkeypatch.setattr(passes, "LINGER_SECONDS", 0.0)
    # A pass waits for the bell a second at a time; the tests that come by here ring none.
    monkeypatch.setattr(passes, "_rings", lambda listening: time.sleep(0.02))
    with DNSServer() as dns, SmtpPeer() as peer, time_machine.travel(START) as clock:
        dns.add(FAR, "MX", f"10 mx.{FAR}.")
        dns.add(f"mx.{FAR}", "A", "127.0.0.1")
        monkeypatch.setattr(django_settings, "MAILSPOOL_DNS", dns.address)
        domain = Domain.objects.create(name=HERE)
        user = User(email=ANN, domain=domain)
        user.set_unusable_password()
        user.save()
        here = Spool(clock, peer, dns)
        monkeypatch.setattr(steady_clock, "steady", here.steady)
        monkeypatch.setattr(steady_clock, "_steps", None)
        here.settings(private_hosts=True, smtp_out_port=peer.port, connect_timeout_seconds=2, reply_timeout_seconds=5)
        yield here
    directory.forget()
    nothing_rests()
    for threads in (passes._database, deliveries._local):
        close_connections(threads)


def nothing_rests() -> None:
    """Nobody knows of a host that does not answer."""
    backoff.forget()
    rests.forget()
    RestingHost.objects.all().delete()


def close_connections(threads: ThreadPoolExecutor) -> None:
    """Let go of the database in every thread of a pool: it can't be dropped while it is in use."""
    count = threads._max_workers
    together = threading.Barrier(count)

    def close() -> None:
        together.wait(10)
        connections.close_all()

    for done in [threads.submit(close) for _ in range(count)]:
        done.result()
