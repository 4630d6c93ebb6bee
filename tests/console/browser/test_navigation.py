"""Getting about: tabs that are whole, pages that are reached in few steps, and landmarks for who can't see them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from base.action import record
from mailspool.destinations import tabs as destination_tabs
from mailspool.overview import tabs
from quarantine.console import tabs as quarantine_tabs
from spool.actions import Actor
from spool.console import tabs as spool_tabs
from spool.filters import Count
from spool.traffic import rollup
from tests.console.browser.conftest import Console, serious_violations
from tests.console.browser.themes import THEMES
from tests.support.messages import a_submission
from tests.support.spool_states import take_in
from throttling.console import tabs as throttling_tabs

pytestmark = pytest.mark.alike
LARGE = ("SPOOL", "WAITING", "SPAM", "VIRUS", "USERS", "DOMAINS")
DESTINATIONS = destination_tabs.DESTINATIONS
OVERVIEW, BACKLOG = tabs.OVERVIEW, spool_tabs.BACKLOG
SPOOL, WAITING, SPAM, VIRUS, USERS, DOMAINS = (
    replace(tab, count=lambda: Count(99_914, more=True))
    for tab in (
        spool_tabs.SPOOL,
        spool_tabs.WAITING,
        quarantine_tabs.SPAM,
        quarantine_tabs.VIRUS,
        throttling_tabs.USERS,
        throttling_tabs.DOMAINS,
    )
)


@pytest.mark.parametrize("theme", THEMES)
def test_the_tabs_are_whole_with_large_counts_and_scroll_on_a_phone(
    console: Console, settings: Any, theme: str
) -> None:
    settings.SPOOL_CONSOLE_TABS = [f"{__name__}.{name}" for name in ("OVERVIEW", *LARGE, "DESTINATIONS", "BACKLOG")]
    console.wear(theme)
    # A page whose own list does not say what its tab shows.
    page = console.open(reverse(throttling_tabs.USERS.url_name))
    strip = page.locator("#ms-tabs")
    expect(strip.locator(".ms-count").first).to_have_text("99.9k+")
    expect(strip.locator(".ms-count").first).to_have_attribute("title", "more than 99,000")
    assert strip.evaluate("tabs => tabs.scrollWidth <= tabs.clientWidth")
    assert serious_violations(page, "#ms-tabs") == []
    assert serious_violations(page, "#nav-sidebar") == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert strip.evaluate("tabs => tabs.scrollWidth > tabs.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    last = strip.get_by_role("link", name="Backlog map")
    last.scroll_into_view_if_needed()
    box = last.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    last.click()
    page.wait_for_url("**/backlog/")


def test_search_and_first_row_are_a_few_steps_away(console: Console) -> None:
    take_in(a_submission(sender="ann@example.org"))
    page = console.open("/admin/spool/entry/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Search everything")).to_be_focused()
    page.keyboard.press("Escape")
    page = console.open("/admin/spool/entry/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".ms-entry [data-open]")).to_be_focused()


@pytest.mark.parametrize(
    ("path", "first"),
    [("/admin/", ".ov-table tr[data-key] th a"), ("/admin/audit/auditevent/", ".ms-table tr.cells td a")],
)
def test_so_is_that_of_the_overview_and_of_the_audit(console: Console, path: str, first: str) -> None:
    take_in(a_submission(sender="ann@example.org"))
    rollup.roll_up()
    record(Actor.system(), "delete", "a message", done=1)
    page = console.open(path)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(first).first).to_be_focused()


@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/spool/settings/", "/admin/spool/trace/"])
def test_every_page_has_its_landmarks(console: Console, path: str) -> None:
    page = console.open(path)
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("navigation", name="Console")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)


def test_the_menu_opens_on_a_phone_by_touch_and_keyboard(console: Console) -> None:
    page = console.open("/admin/accounts/user/")
    page.set_viewport_size({"width": 390, "height": 844})
    button = page.get_by_role("button", name="Menu", exact=True)
    box = button.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 44
    button.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("link", name="Users").first).to_have_attribute("aria-current", "page")
    page.get_by_role("button", name="Close the menu").click()
    expect(page.locator("#nav-sidebar")).to_be_hidden()
