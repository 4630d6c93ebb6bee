"""Delete and Move for one mailbox: nobody else loses the message, and Undo gives it back to that mailbox alone."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.db import OperationalError
from django.utils import timezone

from mailspool.home import Home
from spool.actions import Actor, Selection, perform, preview, split_recipient, undo
from spool.console.trace import search
from spool.files import store
from spool.files.store import path_of
from spool.filters import BadFilter, SpoolFilter, count
from spool.flow import intake
from spool.maintenance import doctor
from spool.message.envelope import DeliveryReport, LeasedEntry, RecipientResult
from spool.models import Direction, Entry, Kind, Outcome, Recipient, Trace, Trashed, TrashedRecipient
from spool.places import trash, undecided
from spool.places.splits import Parts
from spool.rows import statements
from tests.support.messages import a_recipient, a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

Spooled = Callable[..., Entry]
Take = Callable[..., list[LeasedEntry]]
BOB = SpoolFilter(mailbox="bob@example.org")


def to_sales(*outsiders: str) -> Entry:
    """A message to sales@, which is ann and bob, and to people elsewhere."""
    submission = a_submission("eve@example.net")
    submission.envelope.recipients = [
        *(a_recipient(f"{name}@example.org", Kind.LOCAL, original="sales@example.org") for name in ("ann", "bob")),
        *(a_recipient(address) for address in outsiders),
    ]
    [name] = intake.accept([submission])
    return Entry.objects.get(file_name=name)


def waiting_for() -> dict[str, int]:
    return dict(Recipient.objects.filter(status=Outcome.PENDING).values_list("address", "entry_id"))


def test_a_colleagues_mail_stays_when_a_mailboxs_is_deleted(admin: Actor) -> None:
    entry = to_sales()
    content = path_of(entry.subspool, entry.file_name).read_bytes()

    outcome = perform("delete", BOB, admin)

    assert outcome.sentence == "1 deleted"
    assert waiting_for() == {"ann@example.org": entry.id}
    left, gone = Entry.objects.get(), Trashed.objects.get()
    assert (left.file_name, left.recipients_total, left.direction) == (entry.file_name, 1, Direction.INBOUND)
    assert (gone.recipients_total, gone.recipients_done, gone.sender) == (1, 0, "eve@example.net")
    assert TrashedRecipient.objects.get().address == "bob@example.org"
    for row in (left, gone):
        assert path_of(row.subspool, row.file_name).read_bytes() == content
    assert {trace.recipient for trace in search("bob@example.org", 30).traces} == {"bob@example.org"}
    assert list(doctor.examine()) == []


def test_what_is_for_outsiders_too_goes_on_to_them(admin: Actor) -> None:
    entry = to_sales("cy@far.test")

    perform("delete", BOB, admin)

    assert waiting_for() == {"ann@example.org": entry.id, "cy@far.test": entry.id}
    assert Entry.objects.get().direction == Direction.OUTBOUND
    assert Trashed.objects.get().direction == Direction.INBOUND


def test_a_message_for_the_mailbox_alone_goes_as_it_is(admin: Actor, spooled: Spooled) -> None:
    alone = spooled(to="Bob@example.org", kind=Kind.LOCAL)
    done = to_sales()
    Recipient.objects.filter(entry=done, address="ann@example.org").update(status=Outcome.DELIVERED)
    other = spooled(to="ann@example.org", kind=Kind.LOCAL)

    perform("delete", BOB, admin)

    assert set(Trashed.objects.values_list("file_name", flat=True)) == {alone.file_name, done.file_name}
    assert Entry.objects.get() == other


def test_undo_gives_it_back_to_that_mailbox_alone(admin: Actor) -> None:
    entry = to_sales()
    event = perform("delete", BOB, admin).event

    undo(admin, event_id=event.pk)

    assert set(waiting_for()) == {"ann@example.org", "bob@example.org"}
    assert waiting_for()["ann@example.org"] == entry.id != waiting_for()["bob@example.org"]
    assert Entry.objects.count() == 2
    assert count(SpoolFilter(recipient="sales@example.org")).number == 2
    assert not Trashed.objects.exists()


def test_a_bounce_tells_of_that_mailbox_alone(admin: Actor) -> None:
    to_sales()

    perform("delete", BOB, admin, bounce=True)

    notice = Entry.objects.get(sender="")
    text = path_of(notice.subspool, notice.file_name).read_text()
    assert "bob@example.org" in text
    assert "ann@example.org" not in text.partition("message/rfc822")[0]


def test_moving_takes_that_mailboxs_copy_alone(admin: Actor, home: Home) -> None:
    entry = to_sales("cy@far.test")

    outcome = perform("move", BOB, admin, folder=str(home.root / "moved"))

    assert outcome.sentence == "1 moved"
    [envelope] = (home.root / "moved").glob("*.json")
    assert [one["address"] for one in json.loads(envelope.read_text())["recipients"]] == ["bob@example.org"]
    assert envelope.with_suffix(".eml").exists()
    assert waiting_for() == {"ann@example.org": entry.id, "cy@far.test": entry.id}
    assert path_of(entry.subspool, entry.file_name).exists()
    undo(admin, event_id=outcome.event.pk)
    assert set(waiting_for()) == {"ann@example.org", "bob@example.org", "cy@far.test"}


def test_what_is_on_the_wire_is_left_alone(admin: Actor, take: Take) -> None:
    to_sales()
    take()

    outcome = perform("delete", BOB, admin)

    assert "1 was being delivered" in outcome.sentence
    assert set(waiting_for()) == {"ann@example.org", "bob@example.org"}


def test_who_is_delivered_to_late_does_not_get_it_again_by_undo(admin: Actor, take: Take) -> None:
    to_sales()
    [leased] = take()
    [bob] = [one for one in leased.recipients if one.address == "bob@example.org"]
    Entry.objects.update(leased_by="")
    event = perform("delete", BOB, admin).event
    report = DeliveryReport(leased, [RecipientResult(bob, Outcome.DELIVERED, "250 2.0.0 stored", "2.0.0", "here")], [])

    with statements.write_transaction():
        trash.note_delivered(report, timezone.now())
    undo(admin, event_id=event.pk)

    assert set(waiting_for()) == {"ann@example.org"}
    assert Trace.objects.get().outcome == Outcome.DELIVERED


def test_a_transaction_that_fails_leaves_no_second_file(admin: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = to_sales()

    def fail(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(trash, "take", fail)
    perform("delete", BOB, admin)

    assert waiting_for() == {"ann@example.org": entry.id, "bob@example.org": entry.id}
    assert [path.name for path in (store.spool_root() / entry.subspool).iterdir()] == [entry.file_name]


def test_a_split_that_fails_halfway_leaves_no_second_file(admin: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = to_sales()

    def fail(self: Parts, *rest: object) -> None:
        assert self.names, "the second file is there"
        raise OperationalError("the connection broke")

    monkeypatch.setattr(Parts, "move", fail)
    with pytest.raises(OperationalError):
        perform("delete", BOB, admin)
    undecided.settle()
    assert [path.name for path in path_of(entry.subspool, entry.file_name).parent.iterdir()] == [entry.file_name]


def test_a_message_without_its_file_is_left_and_said_so(admin: Actor) -> None:
    entry = to_sales()
    path_of(entry.subspool, entry.file_name).unlink()

    outcome = perform("delete", BOB, admin)

    assert "their files are missing" in outcome.sentence
    assert set(waiting_for()) == {"ann@example.org", "bob@example.org"}


def test_the_preview_says_whom_it_is_about(admin: Actor) -> None:
    entry = to_sales()
    for what in (BOB, Selection(ids=(entry.id,), of_mailbox="bob@example.org")):
        shown = preview("delete", what, admin)
        assert (shown.count.number, "not delivered to bob@example.org" in shown.effect) == (1, True)
    assert "for the mailbox bob@example.org" in preview("delete", BOB, admin).what
    assert "not delivered to" not in preview("delete", [entry.id], admin).effect


def test_many_are_done_in_pieces(admin: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_recipient, "CHUNK", 3)
    for _ in range(7):
        to_sales()

    assert perform("delete", BOB, admin).sentence == "7 deleted"
    assert Recipient.objects.count() == Entry.objects.count() == 7


def test_a_mailbox_is_one_address() -> None:
    with pytest.raises(BadFilter, match="one address"):
        SpoolFilter.parse({"mailbox": "*@example.org"})
