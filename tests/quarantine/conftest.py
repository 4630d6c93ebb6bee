"""Real scanners, each started once, and messages that are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone

from base.one_row import OneRow
from quarantine.engines import authentication, checks, dmarc, reverse
from quarantine.engines.scanner import all_scanners
from quarantine.items import transfer
from quarantine.items.transfer import Caught
from quarantine.models import Item, ItemKind
from spool.flow import leases
from spool.models import Entry
from spool.rows import statements
from tests.spool.passing import spool
from tests.spool.spooling import admin, in_rows, spooled, take
from tests.support.clamd import Clamd
from tests.support.rspamd import Rspamd
from tests.support.spamd import Spamd

__all__ = ["admin", "in_rows", "spool", "spooled", "take"]


@pytest.fixture(scope="session")
def clamd_server() -> Iterator[Clamd]:
    server = Clamd()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def spamd() -> Iterator[Spamd]:
    server = Spamd()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def rspamd() -> Iterator[Rspamd]:
    server = Rspamd()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def clamd(clamd_server: Clamd) -> Clamd:
    """It runs, whatever a test before this one has done to it."""
    if not clamd_server.daemon.alive:
        clamd_server.start()
    return clamd_server


@pytest.fixture(autouse=True)
def _nobody_rests() -> None:
    for scanner in all_scanners():
        scanner.rests.forget()  # type: ignore[attr-defined]
    checks.rests.forget()
    authentication.forget()
    dmarc.forget()
    reverse.forget()


@pytest.fixture
def setting() -> Callable[..., None]:
    """Changes settings of a one-row model, as the console does."""

    def setting(model: type[OneRow], **values: object) -> None:
        row = model.load()
        for name, value in values.items():
            setattr(row, name, value)
        row.full_clean()
        row.save()
        OneRow.forget()

    return setting


@pytest.fixture
def quarantined(spooled: Callable[..., Entry]) -> Callable[..., Item]:
    """Takes a message in and quarantines it, as a stage does; keyword arguments are those of `spooled`."""

    def quarantined(
        kind: ItemKind = ItemKind.SPAM, why: str = "12.5 points", days: int = 30, **message: object
    ) -> Item:
        score = message.pop("score", None)
        findings = message.pop("findings", [])
        entry = spooled(**message)
        with statements.write_transaction():
            leases.take("stage", timezone.now(), 1000, straight=False, no_delay=True)
        caught = Caught(entry.id, kind, why, score, findings)  # type: ignore[arg-type]
        assert transfer.take("stage", [caught], timezone.now(), days) == {entry.id}
        leases.give_back("stage", list(Entry.objects.values_list("id", flat=True)), timezone.now())
        return Item.objects.get(entry_id=entry.id)

    return quarantined
