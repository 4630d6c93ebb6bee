"""Delete and Undo: into the trash and back, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.forms.models import model_to_dict
from django.utils import timezone

from spool.actions import Actor, Refused, can_undo, perform, preview, undo
from spool.console.message import traces_of
from spool.files.store import path_of
from spool.filters import SpoolFilter
from spool.maintenance import doctor
from spool.message.envelope import LeasedEntry
from spool.models import AuditEvent, Entry, Outcome, Recipient, Status, Trace, Trashed, TrashedRecipient
from spool.models.trashed import TrashState
from spool.places import trash
from spool.rows import statements

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

Spooled = Callable[..., Entry]
Take = Callable[..., list[LeasedEntry]]


def test_a_preview_says_how_many_which_and_what_will_happen(admin: Actor, spooled: Spooled) -> None:
    for _ in range(3):
        spooled()
    shown = preview("delete", SpoolFilter(sender="ann@example.org"), admin)
    assert str(shown.count) == "3"
    assert len(shown.sample) == 3
    assert "can be undone for 7 days" in shown.effect
    assert shown.what == "messages from ann@example.org"
    assert Entry.objects.count() == 3


def test_deleted_mail_is_in_the_trash_with_a_trace_and_leaves_no_rows(admin: Actor, spooled: Spooled) -> None:
    entry = spooled(to=["bob@example.net", "eve@example.net"])
    outcome = perform("delete", [entry.id], admin)
    assert outcome.sentence == "1 deleted"
    assert not Entry.objects.exists()
    assert not Recipient.objects.exists()
    assert_traced(traces_of(entry.file_name))
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.on, event.outcome) == (
        "root@example.org",
        "delete",
        entry.file_name,
        "1 deleted",
    )


def test_undo_brings_back_every_column_every_recipient_and_every_byte(admin: Actor, spooled: Spooled) -> None:
    entry = spooled(
        to=["bob@example.net", "eve@example.net"],
        status=Status.WAITING,
        attempts=4,
        last_error="450 “später”\\ 'x'",
        next_attempt=timezone.now() + timedelta(hours=1),
        due_at=timezone.now() + timedelta(hours=1),
    )
    Recipient.objects.filter(address="eve@example.net").update(status=Outcome.DELIVERED)
    entry = Entry.objects.get()
    before, content = model_to_dict(entry), path_of(entry.subspool, entry.file_name).read_bytes()
    recipients = list(Recipient.objects.order_by("id").values())
    event = perform("delete", [entry.id], admin).event
    assert len(traces_of(entry.file_name)) == 1
    assert can_undo(event)
    assert undo(admin, event_id=event.id).job.done == 1
    after = model_to_dict(Entry.objects.get())
    assert after["due_at"] == before["next_attempt"]
    assert {**after, "due_at": None} == {**before, "due_at": None}
    assert list(Recipient.objects.order_by("id").values()) == recipients
    assert path_of(entry.subspool, entry.file_name).read_bytes() == content
    assert not Trace.objects.exists()
    assert not Trashed.objects.exists()
    event.refresh_from_db()
    assert (event.undone, can_undo(event)) == (1, False)
    with pytest.raises(Refused, match="nothing left to undo"):
        undo(admin, event_id=event.id)


@pytest.mark.postgresql
def test_no_table_is_read_whole_for_a_part_of_what_is_deleted_or_put_back(admin: Actor, spooled: Spooled) -> None:
    chosen = [spooled(to=["bob@example.net", "eve@example.net"]).id for _ in range(3)]
    with statements.write_transaction():
        event = AuditEvent.objects.create(at=timezone.now(), action="delete")
        before = _read_whole()
        trash.take(chosen, event.id, timezone.now(), "", TrashState.TRASHED)
        assert _read_whole() == before
    before = _read_whole()
    after: list[int] = []
    trash.restore(chosen, timezone.now(), lambda _: after.append(_read_whole()))
    assert after[0] <= before, "PostgreSQL may have begun to count anew"
    assert Recipient.objects.count() == 6


def _read_whole() -> int:
    """How often this connection has read a table of mail from end to end, of late."""
    tables = ["spool_entry", "spool_recipient", "spool_trashed", "spool_trashedrecipient"]
    query = "SELECT SUM(pg_stat_get_xact_numscans(oid)) FROM pg_class WHERE relname = ANY(%s)"
    return int(statements.execute(query, [tables]).fetchone()[0])


def test_an_entry_on_the_wire_is_left_alone_and_said_so(admin: Actor, spooled: Spooled, take: Take) -> None:
    spooled(sender="one@example.org")
    [held] = take()
    spooled(sender="two@example.org")
    outcome = perform("delete", SpoolFilter(), admin)
    assert outcome.sentence == "1 deleted, 1 was being delivered"
    assert Entry.objects.get().id == held.id


def test_a_lapsed_lease_does_not_protect_and_its_worker_can_record_nothing(
    admin: Actor, spooled: Spooled, take: Take
) -> None:
    spooled()
    take()
    Entry.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert perform("delete", SpoolFilter(), admin).sentence == "1 deleted"
    event = AuditEvent.objects.get()
    undo(admin, event_id=event.id)
    entry = Entry.objects.get()
    assert (entry.leased_by, entry.status) == ("", Status.DELIVERY_DELAY)


def test_the_file_of_a_deleted_message_is_no_orphan(
    admin: Actor, spooled: Spooled, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = spooled()
    event = perform("delete", [entry.id], admin).event
    monkeypatch.setattr(doctor, "YOUNGEST_SECONDS", -1.0)
    assert [f.kind for f in doctor.examine()] == []
    undo(admin, event_id=event.id)
    assert path_of(entry.subspool, entry.file_name).exists()
    assert Entry.objects.get().id == entry.id


def test_a_file_that_is_gone_is_reported_and_its_row_stays(admin: Actor, spooled: Spooled) -> None:
    entry = spooled()
    event = perform("delete", [entry.id], admin).event
    path_of(entry.subspool, entry.file_name).unlink()
    outcome = undo(admin, event_id=event.id)
    assert (outcome.job.done, outcome.job.skipped) == (0, 1)
    assert outcome.sentence == "0 put back, 1 skipped (their files are gone or were changed)"
    assert Trashed.objects.count() == 1


def test_what_is_older_than_the_settings_keep_goes_for_good_and_leaves_a_trace(admin: Actor, spooled: Spooled) -> None:
    entry = spooled(to=["bob@example.net", "eve@example.net"])
    perform("delete", [entry.id], admin)
    before = traces_of(entry.file_name)
    assert trash.purge(timezone.now(), 7) == 0
    assert path_of(entry.subspool, entry.file_name).exists()
    assert trash.purge(timezone.now() + timedelta(days=8), 7) == 1
    assert not Trashed.objects.exists()
    assert not TrashedRecipient.objects.exists()
    assert not path_of(entry.subspool, entry.file_name).exists()
    assert_traced(list(Trace.objects.order_by("recipient")))
    after = Trace.objects.order_by("recipient")
    assert [model_to_dict(t, exclude=["id"]) for t in after] == [model_to_dict(t, exclude=["id"]) for t in before]


def assert_traced(traces: list[Trace]) -> None:
    assert [(t.recipient, t.outcome, t.reply) for t in traces] == [
        ("bob@example.net", Outcome.REMOVED, "Removed by root@example.org"),
        ("eve@example.net", Outcome.REMOVED, "Removed by root@example.org"),
    ]


def test_a_bounce_tells_the_sender_and_goes_out_with_the_deletion(admin: Actor, spooled: Spooled) -> None:
    entry = spooled(to=["bob@example.net", "eve@example.net"])
    perform("delete", [entry.id], admin, bounce=True)
    bounce = Entry.objects.get()
    assert (bounce.sender, bounce.origin) == ("", "dsn")
    assert [r.address for r in bounce.recipients.all()] == ["ann@example.org"]
    content = path_of(bounce.subspool, bounce.file_name).read_bytes()
    assert b"removed from the queue by the administrator" in content
    assert content.count(b"Action: failed") == 2


def test_a_bounce_is_never_bounced(admin: Actor, spooled: Spooled) -> None:
    spooled(sender="")
    perform("delete", SpoolFilter(), admin, bounce=True)
    assert not Entry.objects.exists()
