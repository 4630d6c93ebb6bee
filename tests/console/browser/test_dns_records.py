"""The first hour of a new domain, against a real name server: the page says what to put there, and turns green."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from base.name_servers import NameServers
from mailspool.dns_records import asking
from quarantine.engines import resolver
from spool.signing import lifecycle, ring
from tests.console.browser.conftest import Console, serious_violations
from tests.console.browser.themes import THEMES
from tests.support.dns import in_pieces
from tests.support.nsd import NSD

pytestmark = pytest.mark.alike
HOST = ["mail IN A 203.0.113.7"]


@pytest.fixture
def nsd(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[NSD]:
    server = NSD(tmp_path)
    server.serve("example.org", HOST)
    server.serve("113.0.203.in-addr.arpa", ["7 IN PTR mail.example.org."])
    with server:
        settings.MAILSPOOL_DNS, settings.MAILSPOOL_HOSTNAME = server.address, "mail.example.org"
        for made in ((lifecycle, "servers_of_domains"), (asking, "servers")):
            monkeypatch.setattr(*made, lambda: NameServers(server.address, server.port))
        yield server
    ring.forget()
    resolver._blocking.clear()


def copied(page: Page) -> list[str]:
    """What somebody copies from the page into a zone."""
    lines = []
    for record in page.locator(".dns-record:has([data-copy])").all():
        name, value = (button.get_attribute("data-copy") or "" for button in record.locator("[data-copy]").all())
        kind = record.locator("dd").nth(1).inner_text()
        lines.append(f"{name}. IN {kind} {in_pieces(value) if kind == 'TXT' else value}")
    return lines


def states(page: Page) -> dict[str, str]:
    return {
        record.get_attribute("data-purpose") or "": record.get_attribute("data-state") or ""
        for record in page.locator(".dns-record").all()
    }


def check(page: Page) -> None:
    page.get_by_role("button", name="Check now").click()
    page.wait_for_load_state("load")
    expect(page.locator(".dns-sum time")).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
def test_from_a_new_domain_to_all_green(console: Console, nsd: NSD, theme: str) -> None:
    console.wear(theme)
    page = console.open("/admin/accounts/domain/add/")
    page.get_by_label("Name", exact=False).first.fill("example.org")
    page.get_by_role("button", name="Save", exact=True).click()
    page = console.open("/admin/dns/")
    page.get_by_role("link", name="example.org", exact=True).click()
    check(page)
    page.get_by_role("button", name="Add DKIM key").click()
    page.locator("#confirm").get_by_role("button", name="Add DKIM Key").click()
    expect(page.locator("#results")).to_contain_text("Put this TXT record into the DNS")
    check(page)
    assert {purpose for purpose, state in states(page).items() if state == "missing"} == {"MX", "SPF", "DKIM", "DMARC"}
    assert serious_violations(page, "#content") == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1440, "height": 900})
    nsd.serve("example.org", [*HOST, *copied(page)])
    check(page)
    expect(page.locator(".dns-sum")).to_contain_text("Nothing is missing or wrong")
    assert set(states(page).values()) == {"right", "optional"}
    assert {purpose for purpose, state in states(page).items() if state == "optional"} == {"MTA-STS", "DNSSEC"}
    page = console.open("/admin/dns/host/")
    check(page)
    assert states(page)["PTR"] == "right"
    assert console.misdeeds == []
