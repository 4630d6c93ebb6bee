"""What is in quarantine is found, and its senders are trusted, however their addresses are written."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from quarantine.filters import ItemFilter, count, page, search
from quarantine.items import transfer
from quarantine.items.transfer import Caught
from quarantine.models import Item, ItemAddress, ItemKind, TrustedSender
from quarantine.spam.trusted_senders import trusted_of
from spool.flow import intake, leases
from spool.models import Entry, Kind
from spool.rows import statements
from tests.support.messages import a_recipient, a_submission

Quarantined = Callable[..., Item]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


def found(**asked: str) -> list[int]:
    chosen = ItemFilter.parse({name.replace("_", "-"): text for name, text in asked.items()}, kind="spam")
    items = [item.pk for item in page(chosen).entries]
    assert count(chosen).number == len(items)
    return items


def test_a_sender_and_a_recipient_are_found_by_any_spelling(quarantined: Quarantined) -> None:
    item = quarantined(sender="Dan@example.org", to=["Bob@example.net", "eve@example.net"])
    quarantined(sender="ann@example.org")

    for asked in ("dan@example.org", "DAN@EXAMPLE.org", '"dan"@example.org'):
        assert found(sender=asked) == [item.pk]
    for asked in ("bob@example.net", "BOB@example.net", "eve@EXAMPLE.net."):
        assert item.pk in found(recipient=asked)
    assert item.addresses == "Bob@example.net\neve@example.net"


def test_mail_to_an_alias_is_found_by_it() -> None:
    submission = a_submission("eve@example.net")
    submission.envelope.recipients = [a_recipient("bob@example.org", Kind.LOCAL, original="Sales@example.org")]
    intake.accept([submission])
    entry = Entry.objects.get()
    with statements.write_transaction():
        leases.take("stage", timezone.now(), 10, straight=False, no_delay=True)
    transfer.take("stage", [Caught(entry.id, ItemKind.SPAM, "9 points")], timezone.now(), 30)

    assert found(recipient="sales@example.org") == found(recipient="bob@example.org") == [Item.objects.get().pk]


def test_a_message_is_found_by_its_message_id(quarantined: Quarantined) -> None:
    item = quarantined(message_id="<abc.def@mail.example.net>")
    quarantined()

    for asked in ("<abc.def@mail.example.net>", "abc.def@mail.example.net"):
        assert search(asked) == {"message-id": asked}
        assert found(message_id=asked) == [item.pk]
    assert search("ann@example.org") == {"sender": "ann@example.org"}


def test_words_beyond_ascii_are_found_in_either_case(quarantined: Quarantined) -> None:
    item = quarantined(subject="Ärger im Büro")

    assert found(subject="äRGER BÜRO") == [item.pk]


def test_who_is_trusted_is_so_in_every_spelling() -> None:
    TrustedSender.objects.create(pattern="dan@example.org")
    TrustedSender.objects.create(pattern="xn--bcher-kva.test")
    written = {"Dan@example.org", '"dan"@EXAMPLE.org', "Eve@bücher.test", "EVE@xn--bcher-kva.TEST"}

    assert trusted_of({*written, "ann@example.org", ""}) == written


def test_old_rows_get_their_keys(quarantined: Quarantined) -> None:
    item = quarantined(sender="Dan@example.org", to="Bob@example.net")
    Item.objects.update(sender_key=None)
    ItemAddress.objects.update(address="Bob@example.net")

    import_module("quarantine.migrations.0004_fill_item_keys").fill(apps, None)

    assert Item.objects.get(pk=item.pk).sender_key == "dan@example.org"
    assert ItemAddress.objects.get().address == "bob@example.net"
