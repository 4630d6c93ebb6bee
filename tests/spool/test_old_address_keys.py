"""Rows of before there were keys get theirs, and counts of several spellings become one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pytest
from django.apps import apps

from spool.actions import Actor, perform
from spool.filters import SpoolFilter, count
from spool.models import Entry, Recipient, TrafficCount, TrafficKind, TrafficTotal, Trashed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
of_spool = import_module("spool.migrations.0009_fill_address_keys")


def test_old_rows_are_found_by_their_keys(
    spooled: Callable[..., Entry], admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_spool, "WINDOW", 2)
    for number in range(5):
        spooled(
            sender="Dan@example.org" if number % 2 else "ann@example.org", to=["Bob@example.net", "eve@example.net"]
        )
    gone = spooled(sender="DAN@example.org")
    perform("delete", [gone.id], admin)
    Recipient.objects.filter(address="eve@example.net").update(original="Sales@example.net")
    for model, column in ((Entry, "sender_key"), (Trashed, "sender_key"), (Recipient, "address_key")):
        model.objects.update(**{column: None})

    of_spool.fill(apps, None)

    assert count(SpoolFilter(sender="dan@example.org")).number == 2
    assert count(SpoolFilter(recipient="bob@example.net")).number == 5
    assert count(SpoolFilter(recipient="sales@example.net")).number == 5
    assert Trashed.objects.get().sender_key == "dan@example.org"
    assert set(Entry.objects.values_list("sender", "sender_key")) == {
        ("Dan@example.org", "dan@example.org"),
        ("ann@example.org", None),
    }


def test_counts_of_several_spellings_are_added_up() -> None:
    sender, domain = TrafficKind.OUTBOUND_SENDER, TrafficKind.INBOUND_DOMAIN
    for kind, key, number in (
        (sender, "dan@example.org", 8),
        (sender, "Dan@example.org", 8),
        (sender, "dAn@example.org", 4),
        (sender, "ann@example.org", 1),
        (domain, "bücher.test", 3),
        (TrafficKind.LOCAL, "-", 9),
    ):
        TrafficTotal.objects.create(kind=kind, key=key, day=number, total=number + 100, seen=number)
        TrafficCount.objects.create(kind=kind, key=key, minute=60, span=1, number=number)

    of_spool.join_counts(apps, None)

    assert set(TrafficTotal.objects.values_list("kind", "key", "day", "total", "seen")) == {
        (sender, "dan@example.org", 20, 320, 8),
        (sender, "ann@example.org", 1, 101, 1),
        (domain, "xn--bcher-kva.test", 3, 103, 3),
        (TrafficKind.LOCAL, "-", 9, 109, 9),
    }
    assert set(TrafficCount.objects.values_list("key", "number")) == {
        ("dan@example.org", 20),
        ("ann@example.org", 1),
        ("xn--bcher-kva.test", 3),
        ("-", 9),
    }
