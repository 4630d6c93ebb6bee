"""Local messages that make delivery fail, and a database that is away for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import OperationalError

from accounts.models import Domain
from spool.delivery import deliveries
from spool.delivery.deliveries import Deliveries
from spool.delivery.local import maildir, plans
from spool.delivery.remote import backoff
from spool.delivery.remote.mx import Exchangers
from spool.delivery.routes import RoutingTable
from spool.message.envelope import DeliveryReport, LeasedEntry
from spool.models.recipient import Kind, Outcome
from spool.models.settings import Settings
from tests.spool.delivery_local.conftest import a_user, an_entry, files_in
from tests.spool.passing import close_connections
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import SmtpPeer

pytestmark = pytest.mark.django_db(transaction=True)


class Bench:
    """Deliveries whose planning can be made to fail: what no real message is known to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.poison: set[int] = set()
        self.outages = 0
        self.reports: list[DeliveryReport] = []
        self.broken: list[tuple[int, str]] = []
        self._plan_batch = plans.plan_batch
        monkeypatch.setattr(plans, "plan_batch", self._plan)
        monkeypatch.setattr(deliveries, "DATABASE_PAUSES", (0.01, 0.01, 0.01))

    def _plan(self, batch: list[plans.LocalWork], *rest: object) -> list[plans.LocalPlan]:
        if self.outages:
            self.outages -= 1
            raise OperationalError("the database is starting up")
        for entry, _ in batch:
            if entry.id in self.poison:
                raise ZeroDivisionError(f"entry {entry.id}")
        return self._plan_batch(batch, *rest)  # type: ignore[arg-type]

    def deliver(self, *entries: LeasedEntry, port: int = 25, resolver: str = "127.0.0.1:9") -> None:
        async def run() -> None:
            broken = self.broken
            here = Deliveries(self.reports.append, lambda entry, text: broken.append((entry.id, text)), pytest.fail)
            here._transport.exchangers = Exchangers("mail.test", resolver)
            here.configure(Settings(private_hosts=True, smtp_out_port=port), RoutingTable())
            here.start(entries)
            async with asyncio.timeout(20):
                while len(self.reports) + len(self.broken) < len(entries):
                    await asyncio.sleep(0.01)
            await here.close(5)

        asyncio.run(run())


@pytest.fixture
def bench(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    a_user(domain)
    backoff.forget()
    yield Bench(monkeypatch)
    close_connections(deliveries._local)


def test_a_message_that_makes_delivery_fail_does_not_stop_the_others(bench: Bench, spooled: Path) -> None:
    entries = [an_entry(spooled) for _ in range(3)]
    bench.poison = {entries[1].id}
    bench.deliver(*entries)
    [(number, text)] = bench.broken
    assert number == entries[1].id
    assert text.strip().endswith(f"ZeroDivisionError: entry {number}")
    assert {report.entry.id for report in bench.reports} == {entries[0].id, entries[2].id}
    assert len(files_in(maildir.folder_of("ann@example.org"))) == 2


def test_what_a_remote_host_took_of_such_a_message_stays_delivered(bench: Bench, spooled: Path) -> None:
    with DNSServer() as dns, SmtpPeer() as peer:
        dns.add("far.test", "A", "127.0.0.1")
        entry = an_entry(spooled)
        entry.recipients += a_leased_entry(spooled, to="bob@far.test", kind=Kind.REMOTE).recipients
        bench.poison = {entry.id}
        bench.deliver(entry, port=peer.port, resolver=dns.address)
    [report] = bench.reports
    outcomes = {result.recipient.address: (result.outcome, result.reply) for result in report.results}
    assert outcomes["bob@far.test"][0] is Outcome.DELIVERED
    assert outcomes["ann@example.org"] == (Outcome.PENDING, f"ZeroDivisionError: entry {entry.id}")
    assert bench.broken == []


def test_a_database_that_is_away_for_a_moment_is_no_fault_of_the_message(bench: Bench, spooled: Path) -> None:
    bench.outages = 3
    bench.deliver(an_entry(spooled), an_entry(spooled))
    assert bench.broken == []
    assert [result.outcome for report in bench.reports for result in report.results] == [Outcome.DELIVERED] * 2
