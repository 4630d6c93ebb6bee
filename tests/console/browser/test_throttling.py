"""The tabs of throttling, used by a browser."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import expect

from accounts import actions as accounts_actions
from accounts.models import User
from spool.models import Entry
from tests.console.browser.conftest import Console
from tests.throttling.made import ANN, an_event, some_held

pytestmark = pytest.mark.alike

USERS, DOMAINS = "/admin/throttling/throttleevent/users/", "/admin/throttling/throttleevent/domains/"
HISTORY = "/admin/throttling/throttleevent/"


def ann_with_held_mail() -> Entry:
    domain = accounts_actions.add_domain("example.org")
    user = User(email=ANN, domain=domain, messages_per_hour=100)
    user.set_unusable_password()
    user.save()
    [entry] = some_held()
    return entry


def test_a_throttled_user_is_seen_and_released(console: Console) -> None:
    entry = ann_with_held_mail()
    an_event()
    page = console.open(USERS)
    row = page.locator(".mt-row")
    expect(row).to_contain_text(ANN)
    expect(row.get_by_label("Usage: 100 of 100")).to_be_visible()
    row.get_by_role("link", name="See messages").click()
    expect(page.locator(".ms-entry")).to_have_count(1)
    page.go_back()
    page.locator(".mt-row").get_by_role("button", name="Release now").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text("1 held message goes now")
    dialog.get_by_role("button", name="Release now").click()
    expect(page.locator("#results")).to_contain_text("1 message goes now")
    expect(page.locator("#live")).to_contain_text("Nobody is throttled")
    expect(page.get_by_role("link", name="Throttled Users").locator(".ms-count").first).to_have_text("0")
    entry.refresh_from_db()
    assert entry.due_at is not None
    assert entry.due_at <= timezone.now()
    page.locator(".ms-toolbar").get_by_role("link", name="History").click()
    expect(page.locator(".mt-row")).to_contain_text("Released by admin@localhost")


def test_a_limit_is_raised_after_a_number_that_was_too_small(console: Console) -> None:
    ann_with_held_mail()
    an_event()
    page = console.open(USERS)
    page.get_by_role("button", name="Raise limit").click()
    dialog = page.locator("#confirm")
    dialog.get_by_label("New limit").fill("50")
    dialog.get_by_role("button", name="Raise limit").click()
    expect(dialog.get_by_role("alert")).to_contain_text("not more than the limit of 100")
    dialog.get_by_label("New limit").fill("500")
    dialog.get_by_role("button", name="Raise limit").click()
    expect(page.locator("#results")).to_contain_text("is now 500 an hour")
    assert User.objects.get(email=ANN).messages_per_hour == 500


def test_a_domain_is_released_from_its_tab(console: Console) -> None:
    accounts_actions.add_domain("example.org", bounces_per_hour=5)
    an_event("example.org", "domain", metric="bounces", amount=5, used=6, domain="example.org")
    page = console.open(DOMAINS)
    expect(page.locator(".mt-row")).to_contain_text("Bounces Received")
    page.get_by_role("button", name="Release now").click()
    page.locator("#confirm").get_by_role("button", name="Release now").click()
    expect(page.locator("#live")).to_contain_text("No domain is throttled")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible_and_fit(console: Console, width: int, dark: bool) -> None:
    ann_with_held_mail()
    an_event()
    an_event("a-list-with-a-very-long-name-that-goes-on@mailing.lists.example.org", "list", used=85)
    an_event("example.org", "domain", action="reject")
    page = console.page
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if dark else "light")
    for path in (USERS, DOMAINS, HISTORY):
        console.open(path)
        expect(page.locator(".mt-row").first).to_be_visible()
        found = Axe().run(page, context="main")
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
