"""The search over everything and the shortcuts, by keyboard, at a desk and on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from security.models import BlacklistEntry
from tests.console.browser.conftest import Console, serious_violations
from tests.console.browser.themes import THEMES
from tests.support.messages import a_submission
from tests.support.spool_states import take_in

pytestmark = pytest.mark.alike
PAGES = ("/admin/", "/admin/spool/entry/", "/admin/accounts/user/", "/admin/spool/settings/")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [1440, 390])
def test_a_page_is_found_and_opened_by_the_keyboard(console: Console, width: int, theme: str) -> None:
    console.wear(theme)
    page = console.open("/admin/accounts/user/")
    page.set_viewport_size({"width": width, "height": 844})
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Search everything")
    expect(field).to_be_focused()
    page.keyboard.type("throt")
    options = page.locator("#search").get_by_role("option")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", str(options.nth(1).get_attribute("id")))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    assert serious_violations(page, "#search") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/throttling/**")


def test_an_address_is_blacklisted_from_any_page(console: Console) -> None:
    page = console.open("/admin/audit/auditevent/")
    page.get_by_role("button", name="Search everything").click()
    page.get_by_role("combobox", name="Search everything").fill("203.0.113.66")
    page.get_by_role("option", name="Blacklist IP").click()
    page.locator("#confirm").get_by_role("button", name="Blacklist IP").click()
    expect(page.locator("#results")).to_contain_text("203.0.113.66")
    assert BlacklistEntry.objects.count() == 1
    page.locator("#results").get_by_role("button", name="Undo").click()
    expect(page.locator("#results .ms-result")).to_have_count(2)
    assert BlacklistEntry.objects.count() == 0


def test_the_dialog_of_an_action_works_on_pages_of_the_admin_site(console: Console) -> None:
    page = console.open("/admin/spool/settings/")
    page.keyboard.press("Control+k")
    page.keyboard.type("203.0.113.66")
    page.get_by_role("option", name="Blacklist IP").click()
    page.locator("#confirm").get_by_role("button", name="Blacklist IP").click()
    expect(page.locator("#results")).to_contain_text("203.0.113.66")


def test_a_setting_that_is_found_has_the_focus(console: Console) -> None:
    page = console.open("/admin/")
    page.keyboard.press("Control+k")
    page.keyboard.type("bounce after dns")
    expect(page.locator("#search").get_by_role("option", name=re.compile("Bounce after DNS failures"))).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/**#id_dns_failure_limit")
    expect(page.locator("#id_dns_failure_limit")).to_be_focused()


def test_letters_are_shortcuts_and_none_while_one_types(console: Console) -> None:
    take_in(*(a_submission(sender="ann@example.org") for _ in range(3)))
    page = console.open("/admin/")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/admin/spool/entry/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    rows = page.locator(".ms-entry [data-open]")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator(".pick-one").nth(0)).to_be_checked()
    page.keyboard.press("/")
    box = page.locator(".ms-search input[type=search]")
    expect(box).to_be_focused()
    page.keyboard.type("gj?")
    expect(box).to_have_value("gj?")
    assert page.url.endswith("/admin/spool/entry/")


def test_the_sheet_lists_them_and_switches_them_off(console: Console) -> None:
    page = console.open("/admin/spool/settings/")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_be_visible()
    assert serious_violations(page, "#shortcuts") == []
    sheet.get_by_role("checkbox").uncheck()
    sheet.get_by_role("button", name="Close").click()
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.keyboard.press("?")
    page.wait_for_timeout(300)
    assert "/settings/" in page.url
    expect(sheet).to_be_hidden()


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_the_field(console: Console, path: str) -> None:
    page = console.open(path)
    expect(page.get_by_role("button", name="Search everything")).to_be_visible()
