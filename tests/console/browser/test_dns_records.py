"""The first hour of a new domain, against a real name server: the page says what to put there, and turns green."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from base.name_servers import NameServers
from mailspool.dns_records import asking
from quarantine.engines import resolver
from spool.signing import lifecycle, publishing, ring
from tests.console.browser.conftest import Console, serious_violations
from tests.console.browser.themes import THEMES
from tests.support.dns import in_pieces
from tests.support.knot import KEY_NAME, SECRET, Knot
from tests.support.nsd import NSD

pytestmark = pytest.mark.alike
HOST = ["mail IN A 203.0.113.7"]


@pytest.fixture
def nsd(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[NSD]:
    server = NSD(tmp_path)
    server.serve("example.org", HOST)
    server.serve("113.0.203.in-addr.arpa", ["7 IN PTR mail.example.org."])
    with server, asked(server, settings, monkeypatch):
        yield server


@pytest.fixture
def knot(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Knot]:
    with Knot(tmp_path, "example.org", records=HOST) as server, asked(server, settings, monkeypatch):
        yield server


@contextmanager
def asked(server: NSD | Knot, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """That server is the DNS of this host."""
    settings.MAILSPOOL_DNS, settings.MAILSPOOL_HOSTNAME = server.address, "mail.example.org"
    for made in ((lifecycle, "servers_of_domains"), (asking, "servers")):
        monkeypatch.setattr(*made, lambda: NameServers(server.address, server.port))
    yield
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


def enter_update_server(page: Page, secret: str) -> None:
    page.get_by_label("Secret").fill(secret)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_load_state("load")


def test_records_are_published_by_updates_that_the_page_asks_for(console: Console, knot: Knot) -> None:
    page = console.open("/admin/accounts/domain/add/")
    page.get_by_label("Name", exact=False).first.fill("example.org")
    page.get_by_role("button", name="Save", exact=True).click()
    page = console.open("/admin/spool/updateserver/add/")
    form = page.locator("form:has([name=key_name])")
    for name, value in (
        ("domain", "example.org"),
        ("host", "127.0.0.1"),
        ("port", str(knot.port)),
        ("key_name", KEY_NAME),
    ):
        form.locator(f"[name={name}]").fill(value)
    enter_update_server(page, "AAAABBBB")
    page = console.open("/admin/dns/example.org/")
    check(page)
    page.get_by_role("button", name="Publish SPF").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text("has another secret or algorithm")
    dialog.get_by_role("button", name="Cancel").click()
    assert knot.texts("example.org") == []
    page = console.open("/admin/spool/updateserver/")
    page.get_by_role("link", name="example.org").click()
    enter_update_server(page, SECRET)
    page = console.open("/admin/dns/example.org/")
    page.get_by_role("button", name="Publish by DNS update").click()
    for purpose in ("SPF", "DMARC", "MX", "TLS-RPT"):
        dialog.get_by_role("checkbox", name=f"{purpose}: ").check()
        expect(dialog).to_contain_text(f"{purpose} at ")
    dialog.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#results")).to_contain_text("has 4 new records")
    # A key is published by itself where the name server takes updates.
    console.open("/admin/dns/example.org/").get_by_role("button", name="Add DKIM key").click()
    dialog.get_by_role("button", name="Add DKIM Key").click()
    expect(page.locator("#results")).to_contain_text("example.org")
    publishing.sweep()
    publishing.sender.wait(20)
    page = console.open("/admin/dns/example.org/")
    check(page)
    assert {purpose for purpose, state in states(page).items() if state != "right"} == {"MTA-STS", "DNSSEC"}
    assert console.misdeeds == []
