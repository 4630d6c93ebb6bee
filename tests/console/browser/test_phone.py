"""At 390 px: actions are a sheet in which nothing is out of reach, and every target has room for a thumb."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.console.browser.conftest import Console, serious_violations
from tests.support.messages import a_submission
from tests.support.spool_states import take_in

pytestmark = pytest.mark.alike
PHONE = {"width": 390, "height": 844}


def outside(buttons: Locator) -> list[str]:
    """Those that are not whole on the screen, or too small for a thumb."""
    found = []
    for button in buttons.all():
        if not button.is_visible():
            continue
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box is not None
        if box["x"] < 0 or box["x"] + box["width"] > PHONE["width"] or box["height"] < 44:
            found.append(f"{button.inner_text()} {box}")
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_actions_on_a_selection_are_within_reach(console: Console, theme: str) -> None:
    take_in(*(a_submission(sender="ann@example.org") for _ in range(3)))
    console.wear(theme)
    page = console.open("/admin/spool/entry/")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.locator(".pick-one").first.check()
    bar = page.locator("#bar")
    expect(bar.get_by_role("button", name="Delete")).to_be_in_viewport()
    assert bar.evaluate("bar => bar.scrollWidth <= bar.clientWidth")
    assert outside(bar.get_by_role("button")) == []
    assert serious_violations(page, "#bar") == []
    bar.get_by_role("button", name="Hold").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_be_visible()
    assert outside(dialog.locator(".foot").get_by_role("button")) == []


def test_the_menu_of_a_thing_is_a_sheet(console: Console) -> None:
    from accounts import actions

    actions.add_domain("example.org")
    page = console.open("/admin/accounts/domain/")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.locator("[data-menu]").first.click()
    menu = page.locator("#row-menu")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    box = menu.bounding_box()
    assert box is not None
    assert (box["x"], round(box["width"])) == (0, PHONE["width"])
    assert round(box["y"] + box["height"]) == PHONE["height"]
    assert outside(menu.get_by_role("menuitem")) == []
