"""The lists of both quarantines: every order and condition, a page at a time, and for a bounded time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.addresses import key_of, other_key
from quarantine import filters
from quarantine.filters import SORTS, ItemFilter, count, page
from quarantine.filters import pages as item_pages
from quarantine.holding import Quarantine
from quarantine.items import transfer
from quarantine.items.deletion import remove
from quarantine.models import Item, ItemAddress, ItemKind, ItemState, QuarantineSize
from quarantine.models.size import RENEW_EVERY, STALE_AFTER, size_of
from spool.filters import BadFilter, keyset
from spool.rows import statements
from tests.console.conftest import administrator

__all__ = ["administrator"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
SPAM = "/admin/quarantine/item/spam/"


@pytest.fixture
def full() -> list[Item]:
    """120 messages of both quarantines, some deleted."""
    now, made = timezone.now(), []
    for number in range(120):
        domain = f"example{number % 3}.org"
        to = [f"Bob{number % 10}@there{number % 4}.test", *(["all@lists.test"] if number % 2 else [])]
        made.append(
            Item(
                entry_id=number,
                kind=ItemKind.VIRUS if number % 5 == 0 else ItemKind.SPAM,
                file_name=f"{number * 7919 % 997:03}.eml",
                state=ItemState.DELETED if number % 11 == 0 else ItemState.HELD,
                subspool="subspool0001",
                sender=f"User{number % 7}@{domain}" if number % 13 else "",
                sender_domain=domain if number % 13 else "",
                sender_key=other_key(f"User{number % 7}@{domain}") if number % 13 else None,
                addresses="\n".join(to),
                subject=f"{'lunch' if number % 2 else 'invoice'} {number}",
                direction=2,
                client_ip=f"192.0.2.{number % 6}",
                auth_user=f"user{number % 5}@{domain}",
                size_bytes=number % 9 * 1000,
                attempts=number % 4,
                recipients_total=len(to),
                created=now,
                at=now - timedelta(minutes=120 - number),
                removal=now + timedelta(days=30 - number % 8),
                why=f"{number} points: SPF 8",
                score=float(number),
                entry={},
                recipients=[],
            )
        )
    items = Item.objects.bulk_create(made)
    ItemAddress.objects.bulk_create(
        ItemAddress(item_id=item.pk, address=key_of(address), domain=address.rpartition("@")[2])
        for item in items
        for address in item.addresses.splitlines()
    )
    return items


@pytest.fixture(params=["along indexes", "by few", "in windows"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ways in which a list can be read, whatever there is in it."""
    if request.param == "by few":
        monkeypatch.setattr(ItemFilter, "straight", False)
    if request.param == "in windows":
        monkeypatch.setattr(item_pages.Plan, "found", lambda plan, straight: None)
        monkeypatch.setattr(keyset, "WINDOW", 7)
        monkeypatch.setattr(keyset, "LOOK_SECONDS", 0.0)
        monkeypatch.setattr(keyset, "COUNT_SECONDS", 60.0)


def walk(chosen: ItemFilter, sort: str) -> Iterator[Item]:
    """All pages of a list, one after the other."""
    after, pages = "", 0
    while True:
        found = page(chosen, sort=sort, after=after, size=10)
        assert len(found.entries) == 10 or not found.next or not found.complete
        yield from found.entries
        after, pages = found.next, pages + 1
        assert pages < 50
        if not after:
            return


def _key(item: Item, sort: str) -> Any:
    value = getattr(item, sort.lstrip("-"))
    return (item.sender_domain, item.sender, item.pk) if sort.endswith("sender") else (value, item.pk)


@pytest.mark.usefixtures("way")
def test_every_order_shows_each_message_once(full: list[Item]) -> None:
    wanted = {item.pk for item in full if item.kind == "spam" and item.state == "held"}
    for sort in SORTS:
        seen = list(walk(ItemFilter(kind="spam"), sort))
        assert len(seen) == len(wanted) and {item.pk for item in seen} == wanted, sort
        assert all((_key(a, sort) > _key(b, sort)) is sort.startswith("-") for a, b in pairwise(seen)), sort


CONDITIONS: list[tuple[dict[str, str], Callable[[Item], bool]]] = [
    ({"sender": "User1@example1.org"}, lambda i: i.sender == "User1@example1.org"),
    ({"sender": "User1@EXAMPLE1.org"}, lambda i: i.sender == "User1@example1.org"),
    ({"sender": "<>"}, lambda i: i.sender == ""),
    ({"sender": "*@example1.org"}, lambda i: i.sender_domain == "example1.org"),
    ({"sender": "user1@*"}, lambda i: i.sender.startswith("User1@")),
    ({"recipient": "Bob3@there3.test"}, lambda i: "Bob3@there3.test" in i.addresses.splitlines()),
    ({"recipient": "*@there3.test"}, lambda i: "@there3.test" in i.addresses),
    ({"recipient": "bob3@*"}, lambda i: "Bob3@" in i.addresses),
    ({"recipient": "bob3"}, lambda i: False),
    ({"ip": "192.0.2.4"}, lambda i: i.client_ip == "192.0.2.4"),
    ({"auth-user": "user2@example2.org"}, lambda i: i.auth_user == "user2@example2.org"),
    ({"auth-user": "user2@*"}, lambda i: i.auth_user.startswith("user2@")),
    ({"subject": "LUNCH"}, lambda i: "lunch" in i.subject),
    ({"why": "77 spf"}, lambda i: "77" in i.why),
    ({"min-score": "100"}, lambda i: (i.score or 0) >= 100),
    ({"larger": "5KB"}, lambda i: i.size_bytes > 5 * 1024),
    ({"smaller": "2KB"}, lambda i: i.size_bytes < 2 * 1024),
    ({"older": "1h"}, lambda i: i.at < timezone.now() - timedelta(hours=1)),
    ({"younger": "30m"}, lambda i: i.at > timezone.now() - timedelta(minutes=30)),
    ({"older": "30m", "younger": "1h"}, lambda i: 30 < (timezone.now() - i.at).total_seconds() / 60 < 60),
    ({"direction": "inbound"}, lambda i: False),
    (
        {"recipient": "all@lists.test", "sender": "*@example2.org", "subject": "lunch", "younger": "1h"},
        lambda i: (
            "all@" in i.addresses and i.sender_domain == "example2.org" and i.at > timezone.now() - timedelta(hours=1)
        ),
    ),
]


@pytest.mark.usefixtures("way")
def test_a_list_and_its_count_have_what_meets_the_conditions(full: list[Item]) -> None:
    for texts, holds in CONDITIONS:
        chosen = ItemFilter.parse(texts, kind="spam")
        wanted = {item.pk for item in full if item.kind == "spam" and item.state == "held" and holds(item)}
        for sort in ("-id", "size_bytes"):
            assert {item.pk for item in walk(chosen, sort)} == wanted, texts
        assert count(chosen).number == len(wanted), texts


def test_a_look_that_takes_too_long_says_how_far_it_came_and_goes_on_there(
    full: list[Item], administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "WINDOW", 20)
    monkeypatch.setattr(keyset, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(keyset, "COUNT_SECONDS", 0.0)
    first = administrator.get(f"{SPAM}?subject=invoice+2").context["listing"]
    assert not first.complete and first.count.more and "found so far." in first.partial
    assert first.partial.startswith("Looked through ") and ", back to " in first.partial
    text = administrator.get(f"{SPAM}?subject=nothing").content.decode()
    assert "Nothing found so far" in text and "Go on" in text and "Nothing matches" not in text
    seen = [item.subject for item in walk(ItemFilter.parse({"subject": "invoice 2"}, kind="spam"), "-id")]
    assert "invoice 2" in seen and "invoice 28" in seen


def test_pages_lead_forward_and_back_in_each_order(full: list[Item], administrator: Client) -> None:
    for sort in SORTS:
        whole = [item.pk for item in walk(ItemFilter(kind="spam"), sort)]
        first = administrator.get(f"{SPAM}?sort={sort}").context["listing"]
        assert [item.pk for item in first.entries] == whole[:50] and not first.previous
        second = administrator.get(f"{SPAM}?{first.following}").context["listing"]
        assert [item.pk for item in second.entries] == whole[50:100]
        back = administrator.get(f"{SPAM}?{second.previous}").context["listing"]
        assert [item.pk for item in back.entries] == whole[:50]


@pytest.mark.parametrize("place", ["x", "1.x", "9.9.9", "1" * 30])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(BadFilter, match="does not exist"):
        page(ItemFilter(kind="spam"), sort="size_bytes", after=place)


@pytest.mark.parametrize(
    ("query", "most"), [("", 14), ("sort=size_bytes", 14), ("recipient=all@lists.test", 16), ("subject=lunch", 18)]
)
def test_a_list_costs_few_queries(
    full: list[Item], administrator: Client, django_assert_max_num_queries: Any, query: str, most: int
) -> None:
    administrator.get(f"{SPAM}?{query}")
    with django_assert_max_num_queries(most):
        administrator.get(f"{SPAM}?{query}")


def test_whom_a_message_was_for_is_forgotten_with_it(quarantined: Callable[..., Item]) -> None:
    kept, resent, removed = quarantined(), quarantined(), quarantined()
    assert ItemAddress.objects.count() == 3
    with statements.write_transaction():
        transfer.resend([resent.id], timezone.now())
    remove([removed.id])
    assert list(ItemAddress.objects.values_list("item_id", "address", "domain")) == [
        (kept.id, "bob@example.net", "example.net")
    ]
    assert filters.page(ItemFilter(recipient="bob@example.net", kind="spam")).entries == [kept]


def test_no_page_adds_up_the_quarantine_while_somebody_else_does(full: list[Item], administrator: Client) -> None:
    now = timezone.now()
    QuarantineSize.objects.create(kind="spam", items=1, size_bytes=5 * 1024 * 1024, at=now)
    assert "5.0 MB</span> on the disk" in administrator.get(SPAM).content.decode()
    assert size_of(ItemKind.SPAM, now + RENEW_EVERY / 2, within=RENEW_EVERY).size_bytes == 5 * 1024 * 1024
    held = [item for item in full if item.kind == "spam" and item.state == "held"]
    found = size_of(ItemKind.SPAM, now + STALE_AFTER)
    assert (found.items, found.size_bytes) == (len(held), sum(item.size_bytes for item in held))


def test_tidying_leaves_no_address_behind(quarantined: Callable[..., Item]) -> None:
    item = quarantined(days=0)
    Quarantine().tidy(timezone.now() + timedelta(minutes=1))
    assert not Item.objects.filter(id=item.id).exists() and not ItemAddress.objects.exists()
