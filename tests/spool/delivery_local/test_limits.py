"""How many messages are in local delivery at once."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from accounts.models import Domain
from mailspool.home import Home
from spool.delivery import deliveries
from spool.delivery.deliveries import Deliveries
from spool.delivery.local import maildir
from spool.delivery.routes import RoutingTable
from spool.message.envelope import DeliveryReport
from spool.models.recipient import Outcome
from spool.models.settings import Settings
from tests.spool.delivery_local.conftest import a_user, an_entry, files_in
from tests.spool.passing import close_connections


@pytest.mark.django_db(transaction=True)
def test_no_more_messages_are_stored_at_once_than_settings_allow(
    home: Home, spooled: Path, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_user(domain)
    reports: list[DeliveryReport] = []
    sizes: list[int] = []
    running = 0
    lock = threading.Lock()
    deliver_batch = deliveries._deliver_batch

    def counted(batch: list[deliveries.LocalWork], settings: Settings) -> list[deliveries._LocalOutcome | None]:
        nonlocal running
        with lock:
            running += len(batch)
            sizes.append(running)
        try:
            return deliver_batch(batch, settings)
        finally:
            with lock:
                running -= len(batch)

    monkeypatch.setattr(deliveries, "_deliver_batch", counted)

    async def deliver() -> None:
        here = Deliveries(reports.append, lambda entry, text: pytest.fail(text), pytest.fail)
        here._transport.workers = 2
        here.configure(Settings(max_local_deliveries=6), RoutingTable())
        for _ in range(4):
            here.start([an_entry(spooled) for _ in range(5)])
        async with asyncio.timeout(20):
            while len(reports) < 20:
                await asyncio.sleep(0.01)
        await here.close(5)

    asyncio.run(deliver())
    close_connections(deliveries._local)
    assert max(sizes) == 3
    assert {result.outcome for report in reports for result in report.results} == {Outcome.DELIVERED}
    assert len(files_in(maildir.folder_of("ann@example.org"))) == 20
