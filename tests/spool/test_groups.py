"""Grouped lists: what is counted together, that its filter means the same, and what is said when that was not all."""

from __future__ import annotations

import pytest

from spool.filters import SpoolFilter, groups
from spool.filters.groups import groups_of
from spool.flow import intake
from spool.models import Entry
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


def numbers(chosen: SpoolFilter, by: str) -> dict[str, int]:
    return {group.key: group.number for group in groups_of(chosen, by).groups}


@pytest.fixture
def full() -> list[Entry]:
    entries = take_in(
        *[a_submission("ann@example.org", ["bob@a.example", "cat@b.example"], subject="Offer") for _ in range(3)],
        *[a_submission("Ann@Example.org", "dan@a.example", subject="Offer 2") for _ in range(2)],
        a_submission("", "bob@a.example", subject=""),
    )
    attempt(entries[:2], "452 4.2.2 <bob@a.example> over quota")
    return entries


def test_messages_are_counted_by_sender_subject_destination_and_error(full: list[Entry]) -> None:
    everything = SpoolFilter()
    assert numbers(everything, "sender") == {"ann@example.org": 5, "": 1}
    assert numbers(everything, "subject") == {"Offer": 3, "Offer 2": 2, "": 1}
    assert numbers(everything, "destination") == {"a.example": 6, "b.example": 3}
    errors = numbers(everything, "error")
    assert errors[""] == 4 and errors[Entry.objects.get(pk=full[0].pk).error_group] == 2
    assert numbers(SpoolFilter(status="waiting"), "sender") == {"ann@example.org": 2}
    assert numbers(SpoolFilter(domain="b.example"), "subject") == {"Offer": 3}
    assert numbers(SpoolFilter(subject="offer", sender="ann@example.org"), "subject") == {"Offer": 3, "Offer 2": 2}
    [first, *_] = groups_of(everything, "sender").groups
    assert (first.oldest, first.newest) == (
        Entry.objects.get(pk=full[0].pk).created,
        Entry.objects.get(pk=full[4].pk).created,
    )


def test_of_many_the_newest_are_grouped_and_it_is_said(full: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "LOOKED", 4)
    found = groups_of(SpoolFilter(), "subject")
    assert {group.key: group.number for group in found.groups} == {"Offer": 1, "Offer 2": 2, "": 1}
    assert found.looked == 4
    assert not groups_of(SpoolFilter(), "subject", patient=True).looked
    assert groups_of(SpoolFilter(hold=False), "subject").looked == 4
    assert not groups_of(SpoolFilter(sender="ann@example.org"), "subject").looked
    monkeypatch.setattr(groups, "MOST", 1)
    found = groups_of(SpoolFilter(sender="ann@example.org"), "subject")
    assert [group.key for group in found.groups] == ["Offer"] and found.more


def test_of_messages_with_very_many_recipients_fewer_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    intake.accept([a_submission(to=[f"u{n}@a.example" for n in range(20)]) for _ in range(6)])
    monkeypatch.setattr(groups, "MOST_RECIPIENTS", 60)
    found = groups_of(SpoolFilter(), "destination")
    assert (found.looked, found.groups[0].number) == (3, 3)


def test_a_group_has_no_message_more_than_its_filter(full: list[Entry]) -> None:
    exact = SpoolFilter.parse({"exact-subject": "Offer"})
    assert sorted(exact.apply(Entry.objects.all()).values_list("id", flat=True)) == [one.pk for one in full[:3]]
    assert SpoolFilter.from_json(exact.to_json()) == exact
    assert exact.sentence() == "messages with the subject “Offer”"
