"""While there is a folder `.kept`, a message file that is removed is found there; else it is gone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from spool.actions import Actor, perform
from spool.dropfolder import drop_folder
from spool.files import removal, store
from spool.flow import intake, leases, outcomes
from spool.maintenance import doctor
from spool.message.envelope import DeliveryReport, RecipientResult
from spool.models import Entry, Settings
from spool.models.recipient import Outcome
from spool.places import trash
from spool.rows import statements
from tests.spool.spooling import admin
from tests.support.messages import a_submission

__all__ = ["admin"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


@pytest.fixture
def keeping() -> Iterator[Path]:
    folder: Path = django_settings.HOME.spool / removal.FOLDER
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def deliver() -> Path:
    """Take a message in and deliver it; where its file was."""
    intake.accept([a_submission()])
    with statements.write_transaction():
        [entry] = leases.take("worker", timezone.now(), 1, straight=True, no_delay=True)
    results = [RecipientResult(recipient, Outcome.DELIVERED, "250 ok") for recipient in entry.recipients]
    outcomes.record("worker", [DeliveryReport(entry, results)], store.Writer(), Settings.load(), timezone.now())
    return entry.path


def test_the_file_of_a_delivered_message_is_kept(keeping: Path) -> None:
    path = deliver()
    assert not path.exists()
    assert (keeping / path.name).stat().st_size > 0


def test_the_file_of_a_delivered_message_goes_when_nobody_wants_it_kept() -> None:
    assert not deliver().exists()
    assert not (django_settings.HOME.spool / removal.FOLDER).exists()


def test_a_file_that_is_gone_already_is_no_error(keeping: Path) -> None:
    removal.remove(django_settings.HOME.spool / "subspool0001" / "gone.eml")
    assert list(keeping.iterdir()) == []


def test_the_file_of_a_message_is_kept_when_the_trash_is_emptied(keeping: Path, admin: Actor) -> None:
    [name] = intake.accept([a_submission()])
    entry = Entry.objects.get(file_name=name)
    perform("delete", [entry.pk], admin)
    trash.purge(timezone.now() + timedelta(days=100), 30)
    assert (keeping / name).exists()


def test_a_dropped_file_is_kept_after_it_was_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    drop: Path = django_settings.HOME.drop
    (drop / removal.FOLDER).mkdir()
    monkeypatch.setattr(drop_folder, "QUIET_SECONDS", -1.0)
    (drop / "hello.eml").write_bytes(b"From: a@example.org\r\nTo: b@example.net\r\n\r\nHello\r\n")
    assert drop_folder.take() == 1
    [place] = (drop / removal.FOLDER).iterdir()
    claim, _, name = place.name.partition("~")
    assert name == "hello.eml"
    assert Entry.objects.get().file_name == f"{claim}.eml"


def test_on_another_disk_a_file_stays_until_the_backup_is_over() -> None:
    elsewhere = Path(tempfile.mkdtemp(dir="/dev/shm"))
    folder: Path = django_settings.HOME.spool / removal.FOLDER
    if elsewhere.stat().st_dev == folder.parent.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own")
    try:
        folder.symlink_to(elsewhere)
        path = deliver()
        assert path.exists()
        # The doctor clears such leftovers every hour.
        assert doctor.clear_leftovers() == 1
        assert path.exists()
        folder.unlink()
        assert doctor.clear_leftovers() == 1
        assert not path.exists()
    finally:
        folder.unlink(missing_ok=True)
        shutil.rmtree(elsewhere)
