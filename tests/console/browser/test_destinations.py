"""Destinations on a phone: chosen by thumb, slowed together from a sheet, and one page each."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from spool.delivery.shaping import domains
from spool.delivery.shaping.limits import Key
from spool.models import Destination
from tests.console.browser.conftest import Console, serious_violations
from tests.console.browser.test_phone import PHONE, outside
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in

pytestmark = pytest.mark.alike


def test_two_are_slowed_on_a_phone_and_each_has_its_page(console: Console) -> None:
    for name in ("one", "two", "three"):
        domains.remember([(f"{name}.test", Key(f"mx.{name}.test"))], timezone.now())
        attempt(take_in(a_submission(to=[f"bob@{name}.test"])), "451 4.7.1 later", host=f"mx.{name}.test")
    assert console.problems("/admin/destinations/") == []
    page = console.page
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("#bar-what")).to_have_text("1 selected")
    expect(page.locator(".ds-row.picked").get_by_role("link").first).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator("#bar")).to_be_hidden()
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    for name in ("one", "two"):
        row = page.locator(".ds-row", has_text=f"mx.{name}.test")
        box = row.locator("td.pick label").bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
        page.mouse.click(box["x"] + 4, box["y"] + 4)
    bar = page.locator("#bar")
    expect(bar.locator("#bar-what")).to_have_text("2 selected")
    assert outside(bar.get_by_role("button")) == []
    bar.get_by_role("button", name="Slow Down").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Messages per minute").fill("30")
    assert outside(dialog.locator(".foot").get_by_role("button")) == []
    dialog.get_by_role("button", name="Slow Down").click()
    expect(page.locator("#results")).to_contain_text("2 of 2 destinations: the limits are set.")
    expect(page.locator(".ds-row", has_text="30 messages a minute")).to_have_count(2)
    expect(bar).to_be_hidden()
    assert set(Destination.objects.values_list("site", "rate_by_hand")) == {("mx.one.test", 30), ("mx.two.test", 30)}
    # The menu of one, by the keyboard, is a sheet too.
    page.locator(".ds-row", has_text="mx.three.test").get_by_role("button").focus()
    page.keyboard.press("Enter")
    menu = page.locator("#row-menu")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    assert outside(menu.get_by_role("menuitem")) == []
    page.keyboard.press("Escape")
    page.get_by_role("link", name="mx.one.test").click()
    expect(page.locator("#t-limits")).to_be_visible()
    assert outside(page.locator(".in-acts").get_by_role("button")) == []
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    assert serious_violations(page, "#content") == []
    page.locator(".in-acts").get_by_role("button", name="Forget Limits").click()
    dialog.get_by_role("button", name="Forget Limits").click()
    expect(page.locator("#live")).to_contain_text("Its limits were forgotten")
