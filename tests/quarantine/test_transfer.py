"""Into quarantine and back: a message is in one place at a time, and a crash loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from quarantine.holding import Quarantine
from quarantine.items import deletion, transfer
from quarantine.items.transfer import Caught
from quarantine.models import Item, ItemKind, ItemState, Pardon
from spool import tasks
from spool.files import store
from spool.flow import late_results
from spool.maintenance import doctor
from spool.message.envelope import DeliveryReport, RecipientResult
from spool.models import Entry, Outcome, Recipient, Trace
from spool.rows import statements

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


def _resend(item: Item) -> tuple[list[int], int]:
    with statements.write_transaction():
        return transfer.resend([item.id], timezone.now())


def test_a_quarantined_message_has_left_the_spool_with_rows_and_file(quarantined: Callable[..., Item]) -> None:
    item = quarantined(to=["bob@example.net", "eve@example.com"], subject="Win a prize", score=12.5)
    assert not Entry.objects.exists() and not Recipient.objects.exists()
    assert not item.in_spool.exists() and item.in_quarantine.read_bytes().startswith(b"From:")
    assert (item.addresses, item.score) == ("bob@example.net\neve@example.com", 12.5)
    assert item.removal - item.at == timedelta(days=30)
    traces = Trace.objects.values_list("recipient", "outcome", "reply").order_by("id")
    assert list(traces) == [
        ("bob@example.net", "quarantined", "Quarantined: 12.5 points"),
        ("eve@example.com", "quarantined", "Quarantined: 12.5 points"),
    ]


def test_only_who_holds_the_lease_can_quarantine(spooled: Callable[..., Entry], take: Callable[..., Any]) -> None:
    entry = spooled()
    take("worker")
    caught = [Caught(entry.id, ItemKind.VIRUS, "Test")]
    assert transfer.take("another", caught, timezone.now(), 30) == set()
    assert Entry.objects.count() == 1 and not Item.objects.exists() and not Trace.objects.exists()


def test_resend_gives_the_same_message_back_to_the_spool_and_past_its_check(quarantined: Callable[..., Item]) -> None:
    item = quarantined(ItemKind.VIRUS, "Test", attempts=3)
    content = item.path.read_bytes()
    assert _resend(item) == ([item.id], 0)
    entry = Entry.objects.get()
    assert (entry.id, entry.file_name, entry.attempts, entry.status) == (item.entry_id, item.file_name, 0, "delay")
    assert entry.due_at is not None and entry.due_at <= timezone.now() and entry.leased_by == ""
    assert store.path_of(entry.subspool, entry.file_name).read_bytes() == content
    assert [r.status for r in Recipient.objects.all()] == ["pending"]
    assert not Item.objects.exists() and not Trace.objects.exists() and not item.in_quarantine.exists()
    assert list(Pardon.objects.values_list("entry_id", "kind")) == [(entry.id, "virus")]


def test_what_was_quarantined_before_a_column_was_there_is_resent_with_its_default(
    quarantined: Callable[..., Item],
) -> None:
    item = quarantined()
    for name in ("tls", "smtputf8", "ours"):
        del item.entry[name]
    for name in ("orcpt", "original_key"):
        del item.recipients[0][name]
    item.save()
    assert _resend(item) == ([item.id], 0)
    entry, recipient = Entry.objects.get(), Recipient.objects.get()
    assert (entry.tls, entry.smtputf8, entry.ours) == ("", False, None)
    assert (recipient.orcpt, recipient.original_key, recipient.address) == ("", None, "bob@example.net")


def test_resend_goes_only_to_recipients_that_are_still_open(
    quarantined: Callable[..., Item], spooled: Callable[..., Entry], take: Callable[..., Any]
) -> None:
    entry = spooled(to=["bob@example.net", "eve@example.com"], recipients_done=1)
    Recipient.objects.filter(address="bob@example.net").update(status="delivered")
    take("worker")
    transfer.take("worker", [Caught(entry.id, ItemKind.SPAM, "spam")], timezone.now(), 30)
    item = Item.objects.get()
    assert (item.recipients_done, item.recipients_total) == (1, 2)
    assert list(Trace.objects.values_list("recipient", flat=True)) == ["eve@example.com"]
    _resend(item)
    assert dict(Recipient.objects.values_list("address", "status")) == {
        "bob@example.net": "delivered",
        "eve@example.com": "pending",
    }


def test_a_file_that_a_crash_left_in_the_spool_is_known_brought_in_and_resent(
    quarantined: Callable[..., Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "put_files_away", lambda ids: None)
    item = quarantined()
    monkeypatch.undo()
    assert item.in_spool.exists() and not item.in_quarantine.exists()
    # Its recipients have ended, and yet its file must not be cleared away.
    assert doctor.clear_leftovers() == 0
    assert not [finding for finding in doctor.examine() if item.file_name in finding.what]
    Quarantine().tidy(timezone.now())
    assert item.in_quarantine.exists() and not item.in_spool.exists()
    # A crash in mid-resend leaves the file in the spool again.
    item.in_quarantine.rename(item.in_spool)
    assert _resend(item) == ([item.id], 0)
    assert Entry.objects.count() == 1


def test_an_item_without_its_file_stays_and_the_doctor_says_so(quarantined: Callable[..., Item]) -> None:
    item = quarantined()
    item.path.unlink()
    assert _resend(item) == ([], 1)
    assert Item.objects.count() == 1 and not Entry.objects.exists()
    assert [f.kind for f in doctor.examine() if item.file_name in f.what] == ["missing file"]


def test_the_doctor_finds_strays_and_changed_files(
    quarantined: Callable[..., Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = quarantined()
    monkeypatch.setattr("quarantine.holding.YOUNGEST_SECONDS", -1.0)
    item.path.write_bytes(b"another")
    stray = item.path.with_name("0stray.eml")
    stray.write_bytes(b"stray")
    found = {finding.kind: finding for finding in doctor.examine()}
    assert set(found) == {"orphan file", "wrong size"}
    doctor.mend(found["orphan file"])
    assert not stray.exists()


def test_a_delivery_that_is_reported_late_is_not_repeated_by_resend(
    spooled: Callable[..., Entry], take: Callable[..., Any]
) -> None:
    """A worker's lease lapsed while it was sending; another has quarantined the message meanwhile."""
    entry = spooled(to=["bob@example.net", "eve@example.com"])
    [lapsed] = take("slow")
    Entry.objects.update(leased_by="fast")
    transfer.take("fast", [Caught(entry.id, ItemKind.VIRUS, "Test")], timezone.now(), 30)
    bob = next(recipient for recipient in lapsed.recipients if recipient.address == "bob@example.net")
    report = DeliveryReport(lapsed, [RecipientResult(bob, Outcome.DELIVERED, "250 OK", host="mx.example.net")])
    with statements.write_transaction():
        files = late_results.record([report], timezone.now())
    item = Item.objects.get()
    assert files == [] and item.path.exists()
    assert dict(Trace.objects.values_list("recipient", "outcome")) == {
        "bob@example.net": "delivered",
        "eve@example.com": "quarantined",
    }
    assert item.recipients_done == 1
    _resend(item)
    assert dict(Recipient.objects.values_list("address", "status")) == {
        "bob@example.net": "delivered",
        "eve@example.com": "pending",
    }


def test_what_is_past_its_time_of_removal_goes_with_row_and_file(quarantined: Callable[..., Item]) -> None:
    old, young = quarantined(), quarantined()
    Item.objects.filter(id=old.id).update(removal=timezone.now())
    tasks.forget()
    assert list(Item.objects.values_list("id", flat=True)) == [young.id]
    assert not old.path.exists() and young.path.exists()


def test_a_deletion_is_undone_until_the_trash_forgets_it(quarantined: Callable[..., Item]) -> None:
    item, now = quarantined(), timezone.now()
    assert deletion.delete([item.id], 1, now) == 1
    assert deletion.remove_expired(now + timedelta(days=6)) == 0
    assert deletion.restore([item.id], now).ids == [item.id]
    assert Item.objects.get().state == ItemState.HELD
    deletion.delete([item.id], 1, now)
    assert deletion.remove_expired(now + timedelta(days=8)) == 1
    assert not item.path.exists()
