"""An administrator, and a spool of real messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Role
from spool.actions import Actor
from spool.flow import inline, intake, leases
from spool.message.envelope import LeasedEntry
from spool.models import Entry
from spool.rows import statements
from tests.support.messages import a_submission


@pytest.fixture
def admin() -> Actor:
    return Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)


@pytest.fixture
def spooled() -> Callable[..., Entry]:
    """Takes a message in; keyword arguments that are columns of the entry are set afterwards."""

    def spooled(sender: str = "ann@example.org", to: Any = "bob@example.net", **columns: Any) -> Entry:
        submitted = {name: columns.pop(name) for name in ("kind", "subject", "content", "size") if name in columns}
        [name] = intake.accept([a_submission(sender, to, **submitted)])
        if columns:
            Entry.objects.filter(file_name=name).update(**columns)
        return Entry.objects.get(file_name=name)

    return spooled


@pytest.fixture
def in_rows(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small messages have no file until they come to rest."""
    settings.MAILSPOOL_INLINE_KB = 64
    monkeypatch.setattr(inline, "_all_know", True)
    monkeypatch.setattr(inline, "_looked", float("inf"))


@pytest.fixture
def take() -> Callable[..., list[LeasedEntry]]:
    """Leases what is due, as a worker does."""

    def take(owner: str = "worker", limit: int = 100, now: datetime | None = None) -> list[LeasedEntry]:
        with statements.write_transaction():
            return leases.take(owner, now or timezone.now(), limit, straight=True, no_delay=True)

    return take
