"""The checklist of the first run in a browser, on a screen and a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from mailspool.first_run import steps
from spool.models import Entry, Installation
from tests.console.browser.conftest import Console, serious_violations
from tests.console.browser.themes import THEMES

pytestmark = pytest.mark.alike


@pytest.mark.parametrize("theme", THEMES)
def test_a_test_message_is_sent_from_the_overview_and_the_list_is_put_away(console: Console, theme: str) -> None:
    Installation.objects.update(first_run_over=None)
    steps.forget()
    console.wear(theme)
    page = console.open("/admin/")
    checklist = page.locator("#first-run")
    expect(checklist).to_contain_text("of 7 done")
    assert serious_violations(page, "#first-run") == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in checklist.locator("li .ms-button").all():
        box = button.bounding_box()
        assert box is not None and box["height"] >= 44 and box["x"] + box["width"] <= 390
    checklist.get_by_label("Address").fill("ann@far.test")
    page.keyboard.press("Enter")
    expect(checklist).to_contain_text("Not delivered yet")
    assert Entry.objects.count() == 1
    checklist.get_by_role("button", name="Dismiss").click()
    expect(checklist).to_have_count(0)
    page.reload()
    page.get_by_role("link", name="First steps").click()
    expect(checklist).to_contain_text("Not delivered yet")
    assert console.misdeeds == []
