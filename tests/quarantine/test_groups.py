"""The quarantines grouped: by sender, subject and rule or name, and what can be done to a group and its sender."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from quarantine.filters import ItemFilter, groups
from quarantine.filters.groups import groups_of, rules_in
from quarantine.models import Item, ItemKind, TrustedSender
from tests.console.conftest import administrator

__all__ = ["administrator"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
SPAM = "admin:quarantine_item_spam"


@pytest.fixture
def caught(quarantined: Callable[..., Item]) -> list[Item]:
    return [
        quarantined(why="12.5 points: Phrase 8, DNSBL 4.5", sender="eve@example.com", subject="Win"),
        quarantined(why="8 points: Phrase 8", sender="eve@example.com", subject="Win a prize"),
        quarantined(why="9 points: DNSBL 9, SPF -1.5", sender="bad@example.net", subject="Win"),
        quarantined(kind=ItemKind.VIRUS, why="Eicar-Signature (clamav)", sender="eve@example.com", subject="Bill"),
    ]


def numbers(kind: str, by: str) -> dict[str, int]:
    return {group.key: group.number for group in groups_of(ItemFilter(kind=kind), by).groups}


def test_items_are_counted_by_what_they_have_in_common(caught: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    assert numbers("spam", "sender") == {"eve@example.com": 2, "bad@example.net": 1}
    assert numbers("spam", "subject") == {"Win": 2, "Win a prize": 1}
    assert numbers("spam", "rule") == {"DNSBL": 2, "Phrase": 2, "SPF": 1}
    assert numbers("virus", "name") == {"Eicar-Signature (clamav)": 1}
    monkeypatch.setattr(groups, "LOOKED", 2)
    found = groups_of(ItemFilter(kind="spam"), "subject")
    assert [group.number for group in found.groups] == [1, 1] and found.looked == 2


@pytest.mark.parametrize(
    ("why", "rules"),
    [
        ("12.5 points: Phrase 8, DNS list 4.5, SPF -1.5", ["Phrase", "DNS list", "SPF"]),
        ("0 points", []),
        ("12 points: Phrase 8, a rule that was cut off in the mid", ["Phrase"]),
        ("Not looked at: it is too large", []),
    ],
)
def test_rules_are_those_that_a_reason_names(why: str, rules: list[str]) -> None:
    assert rules_in(why) == rules


def test_a_group_is_deleted_and_its_sender_blocked_or_allowed(administrator: Client, caught: list[Item]) -> None:
    shown = administrator.get(reverse(SPAM), {"group": "sender"})
    assert "Groups of messages" in shown.content.decode()
    row = shown.context["grouped"].rows[0]
    assert (row.text, row.number, row.sender) == ("eve@example.com", 2, "eve@example.com")
    asked = {"page": SPAM, "query": row.query, "sender": row.sender}
    menu = unescape(administrator.get(reverse("messages_menu"), asked).content.decode())
    assert "Messages in the Spam Quarantine, from eve@example.com" in menu
    for label in ("Block Inbound SMTP", "Allow Past Spam Checks", "Delete"):
        assert label in menu
    whole = {"all": "1", "query": row.query, "page": SPAM}
    dialog = administrator.post(reverse("admin:quarantine_item_dialog", args=["delete"]), whole)
    assert "Delete: 2 messages" in dialog.content.decode()
    done = administrator.post(reverse("thing_act", args=["sender", "trust"]), {"key": "eve@example.com"})
    assert "skips the spam checks" in done.content.decode()
    assert TrustedSender.objects.get().pattern == "eve@example.com"
    menu = administrator.get(reverse("messages_menu"), asked).content.decode()
    assert "Check for Spam Again" in menu and "Allow Past Spam Checks" not in menu
