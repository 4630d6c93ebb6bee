"""The page of machines: what each is at, and draining one by its menu."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from spool.models import AuditEvent, Machine
from spool.monitoring import machines
from tests.console.browser.conftest import Console, serious_violations
from tests.support.programs import a_program, all_programs

HOME = "/admin/machines/"


@pytest.fixture
def three() -> None:
    """One that takes mail, one that drains, one that is missed."""
    all_programs("mx1.example.org", load=0.42, free_mb=51_200, home="a")
    a_program("console", "mx1.example.org")
    a_program("listeners", "mx1.example.org", open_connections=31, taken_a_minute=1204, addresses="0.0.0.0:25 [::]:587")
    a_program("workers", "mx1.example.org", leases=57, delivered_a_minute=1190)
    a_program("workers", "mx1.example.org", number=2, leases=12, delivered_a_minute=310)
    all_programs("mx2.example.org", drains=True, home="b", files=12, load=1.5, free_mb=900)
    machines.drain("mx2.example.org", "root@example.org")
    all_programs("mx3.example.org", ago_seconds=3600)


@pytest.mark.usefixtures("three")
def test_a_machine_is_drained_by_its_menu_and_resumed(console: Console) -> None:
    page = console.open(HOME)
    row = page.locator("tbody tr", has_text="mx1.example.org")
    expect(row).to_contain_text("Running")
    expect(row).to_contain_text("1,204")
    expect(row).to_contain_text("2 mail workers")
    expect(page.locator("tbody tr", has_text="mx2")).to_contain_text("12 messages have their files on its disk alone")
    expect(page.locator("tbody tr", has_text="mx3")).to_contain_text("Missed")
    page.get_by_role("button", name="Actions on mx1.example.org").press("Enter")
    menu = page.locator("#row-menu")
    expect(menu.get_by_role("menuitem", name="Forget")).to_have_count(0)
    menu.get_by_role("menuitem", name="Drain", exact=True).press("Enter")
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text("No other machine takes mail")
    dialog.get_by_role("button", name="Drain").click()
    expect(row).to_contain_text("Draining")
    expect(page.locator("#results")).to_contain_text("mx1.example.org takes no more mail.")
    assert Machine.objects.get(name="mx1.example.org").drain_by == AuditEvent.objects.latest("pk").actor
    page.locator("#results").get_by_role("button", name="Undo").click()
    expect(row).to_contain_text("Running")
    page.get_by_role("button", name="Actions on mx3.example.org").click()
    menu.get_by_role("menuitem", name="Forget", exact=True).click()
    dialog.get_by_role("button", name="Forget").click()
    expect(page.locator("tbody tr")).to_have_count(2)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_of_machines_is_legible(console: Console, theme: str, width: int) -> None:
    console.wear(theme)
    console.page.set_viewport_size({"width": width, "height": 900})
    page = console.open(HOME)
    assert serious_violations(page, "#live") == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
