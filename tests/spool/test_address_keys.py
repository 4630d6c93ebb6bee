"""Whose mail it is, however the address was written; and mail that an alias or a list led further."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts import actions as accounts_actions
from spool.actions import Actor, perform, undo
from spool.addressing import accept
from spool.console.trace import search
from spool.filters import SpoolFilter, count, page, understand
from spool.filters.pages import matching_ids
from spool.flow import intake
from spool.message.envelope import LeasedEntry, RecipientResult
from spool.models import Entry, Origin, Outcome, Recipient, TrafficKind, Trashed
from spool.places import trash
from spool.rows import statements
from spool.rows.journal import insert_traces, trace_rows
from spool.traffic.sums import add_up
from tests.support.messages import a_submission

Spooled = Callable[..., Entry]
Take = Callable[..., list[LeasedEntry]]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

SPELLINGS = ["dan@example.org", "Dan@example.org", "dAn@EXAMPLE.org", '"dan"@example.org', "dan@example.org."]


def all_ids(chosen: SpoolFilter) -> list[int]:
    return [number for some in matching_ids(chosen, 0, 10**9) for number in some]


@pytest.mark.parametrize("asked", SPELLINGS)
def test_a_sender_is_found_by_any_spelling(spooled: Spooled, asked: str) -> None:
    mine = [spooled(sender=written).id for written in SPELLINGS]
    spooled(sender="dana@example.org")
    chosen = SpoolFilter(sender=asked)

    assert [entry.id for entry in page(chosen).entries] == mine[::-1]
    assert (count(chosen).number, count(chosen).more) == (len(mine), False)
    assert all_ids(chosen) == mine
    assert Entry.objects.get(id=mine[2]).sender == "dAn@EXAMPLE.org"


def test_pages_of_a_sender_with_two_spellings_have_each_message_once(spooled: Spooled) -> None:
    mine = [spooled(sender=SPELLINGS[number % 2]).id for number in range(7)]
    chosen, after, seen = SpoolFilter(sender="DAN@example.org"), "", []
    while True:
        found = page(chosen, size=3, after=after)
        seen += [entry.id for entry in found.entries]
        after = found.next
        if not after:
            break

    assert seen == mine[::-1]
    assert [entry.id for entry in page(chosen.with_values(subject="lunch"), size=9).entries] == mine[::-1]


@pytest.mark.parametrize("asked", ["müller@bücher.test", "MÜLLER@BÜCHER.test", "müller@xn--bcher-kva.test"])
def test_letters_beyond_ascii_have_two_cases_too(spooled: Spooled, asked: str) -> None:
    mine = spooled(sender="Müller@bücher.test", to="Ärger@bücher.test")

    assert [entry.id for entry in page(SpoolFilter(sender=asked)).entries] == [mine.id]
    assert [entry.id for entry in page(SpoolFilter.parse({"recipient": "äRGER@BÜCHER.test"})).entries] == [mine.id]


def test_deleting_a_senders_messages_takes_those_of_every_spelling(spooled: Spooled, admin: Actor) -> None:
    for written in SPELLINGS:
        spooled(sender=written)
    other = spooled(sender="bob@example.org")

    perform("delete", SpoolFilter.parse({"sender": "dan@example.org"}), admin)

    assert list(Entry.objects.values_list("id", flat=True)) == [other.id]
    assert Trashed.objects.count() == len(SPELLINGS)


def test_a_recipient_is_found_by_any_spelling_and_delivered_to_as_written(spooled: Spooled) -> None:
    mine = spooled(to=["Bob@example.net", "eve@example.net"])

    assert [entry.id for entry in page(SpoolFilter(recipient="bOB@example.net")).entries] == [mine.id]
    assert set(Recipient.objects.values_list("address", flat=True)) == {"Bob@example.net", "eve@example.net"}


def to_an_alias(*written: str) -> Entry:
    """A message from outside to sales@, which is ann and bob."""
    accounts_actions.add_domain("example.org")
    for name in ("ann", "bob"):
        accounts_actions.add_user(f"{name}@example.org", "a-long-enough-password")
    accounts_actions.add_alias("sales@example.org", ["ann@example.org", "bob@example.org"])
    submission = a_submission("eve@example.net")
    submission.envelope.recipients = [one for address in written for one in accept(address)]
    intake.accept([submission])
    return Entry.objects.get()


def test_mail_to_an_alias_is_found_by_the_alias_and_by_the_mailbox() -> None:
    entry = to_an_alias("Sales@example.org")

    for asked in ("sales@example.org", "SALES@example.org", "ann@example.org", "bob@example.org"):
        assert [one.id for one in page(SpoolFilter(recipient=asked)).entries] == [entry.id]
        assert count(SpoolFilter(recipient=asked)).number == 1
        assert all_ids(SpoolFilter(recipient=asked)) == [entry.id]
    assert page(SpoolFilter(mailbox="sales@example.org")).entries == []
    assert [one.id for one in page(SpoolFilter(mailbox="Ann@example.org")).entries] == [entry.id]
    [term] = understand("sales@example.org")
    assert term.field == "recipient"


def test_a_lists_copies_are_found_by_the_list(spooled: Spooled) -> None:
    submission = a_submission("team-bounces@example.org", ["bob@example.net", "eve@example.net"])
    submission.envelope.origin = Origin.LIST
    intake.accept([submission])

    assert count(SpoolFilter(recipient="Team@example.org")).number == 1
    assert count(SpoolFilter(recipient="bob@example.net")).number == 1
    assert search("team@example.org", 30).still_here == [Entry.objects.get()]


def test_what_has_left_is_traced_by_any_spelling_and_by_the_alias(admin: Actor, take: Take) -> None:
    entry = to_an_alias("Sales@example.org", "Cy@example.net")
    [leased] = take()
    results = [RecipientResult(one, Outcome.DELIVERED, "250 2.0.0 ok", "2.0.0", "mx") for one in leased.recipients]
    with statements.write_transaction():
        insert_traces(trace_rows(leased, results, timezone.now()), timezone.now())
    perform("delete", [entry.id], admin)
    assert Entry.objects.count() == 1, "it is on the wire"

    def found(text: str) -> set[tuple[str, str | None]]:
        return {(trace.recipient, trace.original) for trace in search(text, 30).traces}

    led = {("ann@example.org", "sales@example.org"), ("bob@example.org", "sales@example.org")}
    assert found("sales@example.org") == found("SALES@example.org") == led
    assert found("CY@example.net") == {("Cy@example.net", None)}
    assert found("EVE@Example.net") == {*led, ("Cy@example.net", None)}


def test_what_is_in_the_trash_is_traced_by_the_alias_too(admin: Actor) -> None:
    entry = to_an_alias("sales@example.org")
    perform("delete", [entry.id], admin)

    assert {trace.recipient for trace in search("Sales@example.org", 30).traces} == {
        "ann@example.org",
        "bob@example.org",
    }
    trash.remove([entry.id])
    assert {trace.original for trace in search("Sales@example.org", 30).traces} == {"sales@example.org"}


def test_what_comes_back_from_the_trash_has_its_keys(admin: Actor, spooled: Spooled) -> None:
    entry = spooled(sender="Dan@example.org", to="Bob@example.net")
    outcome = perform("delete", [entry.id], admin)
    undo(admin, event_id=outcome.event.pk)

    assert count(SpoolFilter(sender="dan@example.org")).number == 1
    assert count(SpoolFilter(recipient="bob@example.net")).number == 1


def test_who_is_written_in_capitals_is_counted_once() -> None:
    payload = json.dumps({"at": 60_000.0, "r": [[sender, "192.0.2.1", True] for sender in SPELLINGS]})
    minute = 1_000
    created = "2026-11-29 12:00:00+00:00"
    ended = [["delivered", "remote", sender, "192.0.2.1", "x@takes.test", created] for sender in SPELLINGS]
    ended += [["delivered", "local", "Eve@EXAMPLE.net", "192.0.2.2", "ann@example.org", created]]
    counts = add_up([payload, json.dumps({"at": 60_000.0, "e": ended})]).counts

    assert counts[TrafficKind.RECEIVED_SENDER.value, "dan@example.org", minute] == len(SPELLINGS)
    assert counts[TrafficKind.OUTBOUND_SENDER.value, "dan@example.org", minute] == len(SPELLINGS)
    assert counts[TrafficKind.INBOUND_SENDER.value, "eve@example.net", minute] == 1
    assert counts[TrafficKind.INBOUND_DOMAIN.value, "example.net", minute] == 1
    assert len([key for kind, key, _ in counts if kind == TrafficKind.RECEIVED_SENDER]) == 1
