"""Mail that has no file yet is looked at like any other, and quarantined with its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone

from quarantine.engines.answers import Answer, Said
from quarantine.engines.clamd import Clamd as ClamdEngine
from quarantine.engines.scanner import VirusScanner, closed_after
from quarantine.items import transfer
from quarantine.items.transfer import Caught, Part
from quarantine.models import Item, ItemKind
from quarantine.models.antivirus import AntivirusSettings
from quarantine.spam.cases import Directions, case_of
from quarantine.virus.scan import Ruling, scan
from spool.files import store
from spool.message.envelope import LeasedEntry
from spool.models import Content, Entry, Trashed
from tests.support.clamd import EICAR, Clamd
from tests.support.messages import a_message


class Reader(VirusScanner):
    """Knows of files alone."""

    name = "reader"

    async def scan(self, path: Path, size_bytes: int) -> Answer:
        assert path.stat().st_size == size_bytes
        assert path.stat().st_mode & 0o077 == 0
        return Answer(self.name, Said.INFECTED if EICAR in path.read_bytes() else Said.CLEAN, "EICAR")


def test_a_scanner_of_files_gets_one_for_as_long_as_it_looks(tmp_path: Path) -> None:
    draft = tmp_path / "draft.tmp"
    for content, ruling in ((a_message(), Ruling.PASS), (a_message() + EICAR, Ruling.QUARANTINE)):
        found = asyncio.run(scan(draft, len(content), [Reader()], AntivirusSettings(), content))
        assert found.ruling is ruling
        assert not draft.exists()


def test_clamd_needs_none(clamd: Clamd, tmp_path: Path) -> None:
    engine = ClamdEngine()
    assert engine.configure(AntivirusSettings(clamd_servers=clamd.address))
    with closed_after([engine]):
        for content, said in ((a_message(), Said.CLEAN), (a_message() + EICAR, Said.INFECTED)):
            assert asyncio.run(engine.scan_held(content, tmp_path / "nothing")).said is said
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def leased(in_rows: None, spooled: Callable[..., Entry], take: Callable[..., list[LeasedEntry]]) -> LeasedEntry:
    spooled(to=["bob@example.net", "eve@example.net"])
    [entry] = take("worker")
    assert entry.content is not None
    assert not entry.path.exists()
    return entry


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis", "home")
class TestTaking:
    def test_the_checks_for_spam_read_it(self, leased: LeasedEntry) -> None:
        case = case_of(leased, Directions(), ours=False, is_from_trusted=False, known=None, max_content_bytes=1_000_000)
        assert case.examined.content == leased.content
        assert not case.examined.is_gone

    def test_it_is_quarantined(self, leased: LeasedEntry) -> None:
        caught = [Caught(leased.id, ItemKind.VIRUS, "Test")]
        assert transfer.take("worker", caught, timezone.now(), 30) == {leased.id}
        assert Item.objects.get().in_quarantine.read_bytes() == leased.content
        assert not Content.objects.exists()

    def test_some_recipients_of_it_are(self, leased: LeasedEntry) -> None:
        part = Part(leased, (leased.recipients[0].id,))
        caught = [Caught(leased.id, ItemKind.SPAM, "Test", 9.0, part=part)]
        assert transfer.take("worker", caught, timezone.now(), 30) == {leased.id}
        assert Item.objects.get().in_quarantine.read_bytes() == leased.content
        assert leased.path.read_bytes() == leased.content
        assert not Content.objects.exists()

    def test_it_is_deleted_as_spam(self, leased: LeasedEntry) -> None:
        assert transfer.delete("worker", [Caught(leased.id, ItemKind.SPAM, "Test", 9.0)], timezone.now()) == 1
        item = Trashed.objects.get()
        assert store.path_of(item.subspool, item.file_name).read_bytes() == leased.content
        assert not Content.objects.exists()
