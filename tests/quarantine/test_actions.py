"""Resend, Delete and Move, as page, command and job call them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from quarantine.filters import ItemFilter
from quarantine.models import (
    AntivirusSettings,
    Check,
    CheckKind,
    Item,
    ItemKind,
    ItemState,
    TrustedSender,
    WhenUnanswered,
)
from spool.actions import Actor, Refused, can_undo, perform, preview, undo, undoable
from spool.models import AuditEvent, Entry
from spool.models.bulkjob import BulkJob
from spool.tasks import run_bulk_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


def test_resend_is_for_what_a_filter_matches_in_one_quarantine(quarantined: Callable[..., Item], admin: Actor) -> None:
    quarantined(sender="ann@example.org")
    quarantined(sender="eve@example.com")
    quarantined(ItemKind.VIRUS, sender="ann@example.org")
    chosen = ItemFilter.parse({"sender": "ann@example.org"}, kind="spam")
    shown = preview("quarantine-resend", chosen, admin)
    assert str(shown.count) == "1" and shown.what == "messages in the Spam Quarantine, from ann@example.org"
    outcome = perform("quarantine-resend", chosen, admin)
    assert outcome.sentence == "1 resent"
    assert Item.objects.count() == 2 and Entry.objects.get().sender == "ann@example.org"
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.done) == (admin.name, "quarantine-resend", 1)


def test_resend_can_trust_the_senders(quarantined: Callable[..., Item], admin: Actor) -> None:
    item, bounce = quarantined(sender="Ann@example.org"), quarantined(sender="")
    perform("quarantine-resend", [item.id, bounce.id], admin, trust=True)
    assert [row.pattern for row in TrustedSender.objects.all()] == ["ann@example.org"]


def test_what_is_found_no_more_is_resent_and_the_rest_shows_what_is_found_now(
    quarantined: Callable[..., Item], admin: Actor
) -> None:
    Check.objects.create(name="rule", kind=CheckKind.HEADER, where="Subject", pattern="prize", weight=50, outbound=True)
    mended, prize = quarantined(subject="Lunch"), quarantined(content=b"Subject: A prize\r\n\r\nx\r\n")
    outcome = perform("quarantine-rescan", ItemFilter(kind="spam"), admin)
    assert outcome.sentence == ("1 resent, as nothing is found any more, 1 skipped (would be caught again)")
    assert Entry.objects.get().file_name == mended.file_name
    assert (Item.objects.get().file_name, Item.objects.get().why) == (prize.file_name, "50 points: rule 50")


def test_nothing_is_resent_while_a_scanner_does_not_answer(
    quarantined: Callable[..., Item], admin: Actor, setting: Callable[..., None]
) -> None:
    setting(AntivirusSettings, clamd_servers="127.0.0.1:1", unanswered=WhenUnanswered.PASS)
    quarantined(ItemKind.VIRUS)
    assert perform("quarantine-rescan", ItemFilter(kind="virus"), admin).event.done == 0
    assert Item.objects.count() == 1


def test_delete_can_be_undone(quarantined: Callable[..., Item], admin: Actor) -> None:
    item = quarantined()
    outcome = perform("quarantine-delete", [item.id], admin)
    assert outcome.sentence == "1 deleted" and Item.objects.get().state == ItemState.DELETED
    assert str(preview("quarantine-resend", ItemFilter(), admin).count) == "0"
    assert can_undo(outcome.event)
    assert undo(admin, event_id=outcome.event.id).job.done == 1
    assert Item.objects.get().state == ItemState.HELD and not can_undo(outcome.event)


def test_move_makes_files_and_undo_brings_them_back(
    quarantined: Callable[..., Item], admin: Actor, home: object
) -> None:
    item = quarantined(sender="eve@example.com")
    content = item.path.read_bytes()
    outcome = perform("quarantine-move", [item.id], admin, folder="caught")
    folder = Path(Item.objects.get().target)
    stem = item.file_name.removesuffix(".eml")
    assert (folder / item.file_name).read_bytes() == content and not item.path.exists()
    assert json.loads((folder / f"{stem}.json").read_text())["sender"] == "eve@example.com"
    assert undo(admin, event_id=outcome.event.id).job.done == 1
    assert item.path.read_bytes() == content and not (folder / item.file_name).exists()


def test_a_file_that_was_changed_in_the_folder_does_not_come_back(
    quarantined: Callable[..., Item], admin: Actor
) -> None:
    item = quarantined()
    outcome = perform("quarantine-move", [item.id], admin, folder="caught")
    (Path(Item.objects.get().target) / item.file_name).write_bytes(b"another")
    tally = undo(admin, event_id=outcome.event.id).job
    assert (tally.done, tally.skipped) == (0, 1)
    assert Item.objects.get().state == ItemState.MOVED


def test_nothing_leaves_the_allowed_folders(quarantined: Callable[..., Item], admin: Actor) -> None:
    item = quarantined()
    with pytest.raises(Refused, match="is not in a folder"):
        perform("quarantine-move", [item.id], admin, folder="/etc")
    assert Item.objects.get().state == ItemState.HELD


def test_many_are_worked_on_in_the_background_and_later_ones_are_not_meant(
    quarantined: Callable[..., Item], admin: Actor
) -> None:
    for _ in range(3):
        quarantined()
    outcome = perform("quarantine-delete", ItemFilter(kind="spam"), admin, background=True)
    assert not outcome.finished
    later = quarantined()
    run_bulk_job(outcome.job.id)
    job = BulkJob.objects.get()
    assert (job.state, job.done, job.total) == ("done", 3, 4)
    assert list(Item.objects.filter(state=ItemState.HELD)) == [later]


@pytest.mark.sqlite  # Which read all of it; PostgreSQL does so only while the table is small.
def test_whether_an_action_can_be_undone_is_known_without_reading_a_full_quarantine(
    quarantined: Callable[..., Item],
) -> None:
    item = quarantined()
    values = {field.attname: getattr(item, field.attname) for field in Item._meta.concrete_fields if field.name != "id"}
    Item.objects.bulk_create(
        Item(**{**values, "entry_id": 1_000_000 + number, "file_name": f"{number}.eml"}) for number in range(2_000)
    )
    event = AuditEvent.objects.create(at=item.at, actor="root", action="hold")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as queries:
        assert undoable([event.pk]) == set()
    with connection.cursor() as cursor:
        [asked] = [query["sql"] for query in queries if "quarantine_item" in query["sql"]]
        cursor.execute(f"EXPLAIN QUERY PLAN {asked}")
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert "item_event" in plan, plan
