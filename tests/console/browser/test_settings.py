"""Settings by sections, as people use them: found while one types, anchored, saved, and whole on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from spool.models import Settings
from tests.console.browser.conftest import Console
from tests.console.browser.themes import THEMES

pytestmark = pytest.mark.alike
RETRIES = "/admin/settings/retries-and-bounces/"


def test_settings_are_found_while_one_types_and_lead_to_their_field(console: Console) -> None:
    page = console.open("/admin/settings/")
    page.get_by_role("searchbox", name="Find a setting").press_sequentially("dns fail")
    found = page.locator("#st-main").get_by_role("link", name="Bounce after DNS failures")
    expect(found).to_be_visible()
    expect(page.locator(".st-lines li")).to_have_count(1)
    found.click()
    page.wait_for_url(f"**{RETRIES}#id_dns_failure_limit")
    page.locator("#id_dns_failure_limit").fill("7")
    # Enter saves: it does not reset what stands first.
    page.locator("#id_dns_failure_limit").press("Enter")
    expect(page.locator("body")).to_contain_text("Saved: Bounce after DNS failures.")
    page.get_by_role("button", name="Reset Bounce after DNS failures").click()
    expect(page.locator("#id_dns_failure_limit")).to_have_value("0")
    expect(page.locator("#st-main")).to_contain_text("not saved yet")
    assert Settings.load().dns_failure_limit == 7
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator("#row-dns_failure_limit")).not_to_contain_text("Reset")
    assert Settings.load().dns_failure_limit == 0


@pytest.mark.parametrize("theme", THEMES)
def test_they_are_whole_on_a_phone(console: Console, theme: str) -> None:
    Settings.load()
    Settings.objects.update(dns_failure_limit=7)
    console.wear(theme)
    for path in ("/admin/settings/", "/admin/settings/?q=retry", RETRIES, "/admin/settings/antispam-inbound-mail/"):
        assert console.problems(path) == []
    page = console.page
    page.set_viewport_size({"width": 390, "height": 844})
    console.open(RETRIES)
    targets = page.locator(".st-back a, .st-foot .ms-button, .st-input input:visible, .st-about button").all()
    assert len(targets) > 8
    for target in targets:
        box = target.bounding_box()
        assert box is not None
        assert box["height"] >= 44 and box["x"] + box["width"] <= 390, target.evaluate("one => one.outerHTML")
    page.locator(".st-back a").click()
    expect(page.get_by_role("link", name="Greylisting")).to_be_visible()
