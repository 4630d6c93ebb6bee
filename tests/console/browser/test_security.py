"""Security in a browser: listing, warning, finding, letting in again; on a phone too."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from accounts.models import Role
from security import actions, login_protection
from security.models import BlacklistEntry, LoginBlock, LoginRules, SMTPBlock, WhitelistEntry
from spool.actions.actor import Actor
from tests.console.browser.conftest import Console
from tests.console.browser.themes import THEMES

pytestmark = pytest.mark.alike

ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)
BLACKLIST = "/admin/security/blacklistentry/"


@pytest.mark.parametrize("width", [1440, 390])
def test_a_network_is_kept_out_found_and_let_in_again(console: Console, width: int) -> None:
    console.page.set_viewport_size({"width": width, "height": 844})
    page = console.open(f"{BLACKLIST}add/")
    page.get_by_label("IP address or network").fill("10.0.0.7")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("the whitelist wins").first).to_be_visible()
    page.get_by_label("IP address or network").fill("198.51.0.0/16")
    page.get_by_label("Description").fill("flood")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("covers 65,536 addresses")).to_be_visible()
    assert actions.blacklisted(["198.51.7.7"])
    console.open(f"{BLACKLIST}?q=198.51.7.7")
    expect(page.locator("input[name=_selected_action]")).to_have_count(1)
    page.locator("input[name=_selected_action]").check()
    page.locator("select[name=action]").select_option("delete_selected")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Yes, I").click()
    expect(page.get_by_text("The blacklist is empty").or_(page.get_by_text("Nothing matches"))).to_be_visible()
    assert not actions.blacklisted(["198.51.7.7"])


def test_a_published_list_is_looked_at_and_then_added(console: Console) -> None:
    page = console.open(BLACKLIST)
    page.get_by_role("link", name="Add many").click()
    page.locator("[name=networks]").fill("203.0.113.1 # one\nnonsense")
    page.get_by_role("button", name="Show what would be added").click()
    expect(page.locator("#preview")).to_contain_text("1 would be added")
    expect(page.locator("#preview")).to_contain_text("is not an IP address or network")
    page.get_by_role("button", name="Add 1").click()
    expect(page.get_by_text("1 added, 0 were listed already, 1 left out")).to_be_visible()
    assert BlacklistEntry.objects.get().created_by == "admin@localhost"


def test_a_closed_login_is_seen_and_opened(console: Console) -> None:
    LoginRules.objects.create(pk=1, pair_failures=3)
    for n in range(3):
        login_protection.failed("ann@example.org", "203.0.113.7", f"guess {n}", "smtp")
    page = console.open("/admin/security/loginblock/")
    expect(page.get_by_text("ann@example.org from 203.0.113.7")).to_be_visible()
    page.locator("input[name=_selected_action]").check()
    page.locator("select[name=action]").select_option("release")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("1 login opened")).to_be_visible()
    expect(page.get_by_text("Nobody is closed out")).to_be_visible()
    assert LoginBlock.objects.get().times == 1
    assert login_protection.closed("ann@example.org", "203.0.113.7") is None


@pytest.mark.parametrize("theme", THEMES)
def test_every_page_is_accessible_and_fits_a_phone(console: Console, theme: str) -> None:
    listed = BlacklistEntry.objects.create(network="198.51.100.0/24", description="flood")
    WhitelistEntry.objects.create(network="203.0.113.9/32", description="ours")
    blocked = SMTPBlock.objects.create(pattern="*@prizes.test")
    for n in range(20):
        login_protection.failed("ann@example.org", "203.0.113.7", f"guess {n}", "smtp")
    console.wear(theme)
    problems = []
    for page in (
        "blacklistentry/",
        "blacklistentry/add/",
        f"blacklistentry/{listed.pk}/change/",
        "blacklistentry/import/",
        "whitelistentry/",
        "whitelistentry/add/",
        "smtpblock/",
        "smtpblock/add/",
        f"smtpblock/{blocked.pk}/change/",
        "loginblock/",
        "loginrules/",
    ):
        problems += console.problems(f"/admin/security/{page}")
    assert problems == []
