"""What was written down of actions is kept as long as the settings say, and no longer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AccountEvent
from quarantine.models import Item
from spool import actions, tasks
from spool.maintenance import retention
from spool.models import AuditEvent, BulkJob, Trashed
from spool.models.settings import Settings
from tests.support.spool_states import take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

LONG_AGO = timedelta(days=731)


def an_event(at: datetime, action: str = "release") -> AuditEvent:
    return AuditEvent.objects.create(at=at, actor="ann@example.org", action=action)


def a_job(event: AuditEvent, state: str) -> BulkJob:
    return BulkJob.objects.create(action="release", actor="ann@example.org", state=state, created=event.at, event=event)


def test_what_is_older_than_the_days_of_the_settings_goes_and_the_rest_stays() -> None:
    now = timezone.now()
    Settings.load()
    Settings.objects.update(audit_days=100)
    old, young = now - timedelta(days=100, minutes=1), now - timedelta(days=99, hours=23)
    for moment in (old, young):
        a_job(an_event(moment), "done")
        AccountEvent.objects.create(at=moment, actor="x", action="status", on="ann@example.org")

    tasks.forget()

    assert [event.at for event in AuditEvent.objects.all()] == [young]
    assert [event.at for event in AccountEvent.objects.all()] == [young]
    assert BulkJob.objects.count() == 1


def test_two_years_are_kept_without_a_choice() -> None:
    now = timezone.now()
    an_event(now - timedelta(days=729))
    an_event(now - LONG_AGO)

    tasks.forget()

    assert AuditEvent.objects.count() == 1


def test_a_line_stays_as_long_as_it_can_be_undone_or_its_job_goes_on() -> None:
    now = timezone.now()
    [entry] = take_in()
    deleted = actions.perform("delete", [entry.pk], actions.Actor.at_the_shell()).event
    in_quarantine, running = an_event(now, "delete"), an_event(now)
    a_job(running, "running")
    an_item(in_quarantine, now)
    AuditEvent.objects.update(at=now - LONG_AGO)

    retention.forget_audit(now, 730)

    assert set(AuditEvent.objects.all()) == {deleted, in_quarantine, running}
    Trashed.objects.all().delete()
    Item.objects.all().delete()
    BulkJob.objects.update(state="done")
    retention.forget_audit(now, 730)
    assert not AuditEvent.objects.exists() and not BulkJob.objects.exists()


def an_item(event: AuditEvent, now: datetime, **fields: Any) -> Item:
    return Item.objects.create(
        entry_id=1,
        kind="spam",
        state="deleted",
        file_name="a.eml",
        subspool="subspool0001",
        direction=1,
        size_bytes=1,
        recipients_total=1,
        created=now,
        at=now,
        removal=now,
        why="12 points",
        entry={},
        recipients=[],
        event=event,
        **fields,
    )


def test_many_go_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 100)
    now = timezone.now()
    AuditEvent.objects.bulk_create(AuditEvent(at=now - LONG_AGO, actor="x", action="release") for _ in range(350))

    with CaptureQueriesContext(connection) as queries:
        removed = retention.forget_audit(now, 730)

    deletions = [query["sql"] for query in queries if query["sql"].startswith('DELETE FROM "spool_auditevent"')]
    assert (removed, len(deletions)) == (350, 4)
