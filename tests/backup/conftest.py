"""A spool with mail in every state, and the commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from spool.actions import Actor, perform
from spool.models import Entry
from tests.quarantine.conftest import quarantined, spooled
from tests.spool.spooling import admin
from tests.support.commands import Manage, manage_with

__all__ = ["admin", "quarantined", "spooled"]


@pytest.fixture(autouse=True)
def _may_ask_the_snapshot(transactional_db: None, django_db_blocker: Any) -> Iterator[None]:
    """Django keeps tests from a database that is no test's own; a snapshot of it is a second connection."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return manage_with(capsys, monkeypatch, "mailspool")


@pytest.fixture
def mail(spooled: Any, quarantined: Any, admin: Actor) -> dict[str, bytes]:
    """The content of each message that a backup must have, by its path below the home."""
    waiting = spooled(subject="waits")
    held = spooled(subject="held", hold=True, due_at=None)
    deleted = spooled(subject="deleted")
    perform("delete", [deleted.pk], admin)
    item = quarantined(subject="spam")
    found = {f"spool/{one.subspool}/{one.file_name}": one for one in (waiting, held, deleted)}
    root: Path = django_settings.HOME.root
    paths = [*found, str(item.in_quarantine.relative_to(root))]
    return {path: (root / path).read_bytes() for path in paths}


def lines_of(backup: Path) -> list[dict[str, Any]]:
    """The manifest."""
    return [json.loads(line) for line in (backup / "manifest.jsonl").read_text().splitlines()]


def contents_of(root: Path, backup: Path) -> dict[str, bytes]:
    """What a backup has of the spool, the quarantines and the trash, by path."""
    return {
        line["path"]: (root / "pool" / line["sha256"][:2] / line["sha256"]).read_bytes()
        for line in lines_of(backup)
        if line.get("path", "").startswith(("spool/", "quarantine/"))
    }


def entries() -> set[str]:
    return set(Entry.objects.values_list("file_name", flat=True))
