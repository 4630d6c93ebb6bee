"""Whom a user allows and blocks, in a browser: on the own page, beside quarantined mail, and for help desk."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts import actions as accounts
from accounts.models import User
from quarantine.models import Item, ListedSender
from tests.console.browser.conftest import Console
from tests.console.browser.test_user_site_throttled import log_in_as
from tests.console.browser.themes import THEMES
from tests.quarantine.conftest import quarantined, spooled
from tests.support.messages import a_message

__all__ = ["quarantined", "spooled"]
pytestmark = pytest.mark.alike
ANN = "ann@example.org"


@pytest.fixture
def ann(console: Console) -> User:
    accounts.add_domain("example.org")
    user = User(email=ANN, domain=accounts.get_domain("example.org"))
    user.set_unusable_password()
    user.save()
    return user


def listed(ann: User) -> set[tuple[str, str]]:
    return set(ListedSender.objects.filter(user=ann).values_list("pattern", "listing"))


def test_a_user_keeps_the_lists(console: Console, ann: User) -> None:
    log_in_as(console, ann)
    page = console.open("/me/")
    page.get_by_role("link", name="Allowed and blocked").click()
    page.get_by_label("Address or domain").fill("nonsense")
    page.get_by_role("button", name="Block", exact=True).click()
    expect(page.get_by_role("alert").or_(page.get_by_role("status")).first).to_contain_text("whole domain")
    expect(page.get_by_label("Address or domain")).to_have_value("nonsense")
    page.get_by_label("Address or domain").fill("*@spam.test")
    page.get_by_role("button", name="Block", exact=True).click()
    expect(page.locator("#block")).to_contain_text("spam.test")
    page.get_by_label("Address or domain").fill("friend@spam.test")
    page.get_by_label("Address or domain").press("Enter")
    expect(page.locator("#allow")).to_contain_text("friend@spam.test")
    page.get_by_role("button", name="Remove spam.test").click()
    expect(page.locator("#block")).to_contain_text("Nobody")
    assert listed(ann) == {("friend@spam.test", "allow")}


def test_a_blocked_message_is_released_and_its_sender_allowed(
    console: Console, ann: User, quarantined: Callable[..., Item]
) -> None:
    item = quarantined(
        sender="bounce@far.test", to=[ANN], content=a_message(ANN, "eve@shop.test", "Shoes"), why="Blocked"
    )
    Item.objects.update(blocked_by=ANN)
    log_in_as(console, ann)
    page = console.open(f"/me/quarantine/{item.file_name}/")
    page.get_by_role("button", name="Release and allow the sender").click()
    expect(page.locator("main")).to_contain_text("eve@shop.test")
    assert listed(ann) == {("eve@shop.test", "allow")} and not Item.objects.exists()


@pytest.mark.parametrize("theme", THEMES)
def test_the_pages_are_readable(console: Console, ann: User, theme: str) -> None:
    for pattern, listing in (("friend@far.test", "allow"), ("a" * 60 + "@" + "spam." * 20 + "test", "block")):
        ListedSender.objects.create(user=ann, pattern=pattern, listing=listing, created=timezone.now())
    console.wear(theme)
    problems = console.problems(f"/admin/accounts/user/{ann.pk}/senders/")
    log_in_as(console, ann)
    assert problems + console.problems("/me/senders/") == []
