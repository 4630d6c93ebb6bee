"""The incident page in a browser: from a menu to the cause, stopped and taken back, also by keyboard and on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from accounts.models import Containment, Domain, User
from spool.models import Entry
from spool.traffic import rollup
from tests.console.browser.conftest import Console, serious_violations
from tests.console.browser.themes import THEMES
from tests.console.test_incident import ANN, IP, sent
from tests.support.spool_states import attempt

pytestmark = pytest.mark.alike
PAGE = f"/admin/incident/user/{ANN}/"


@pytest.fixture
def flood() -> User:
    user = User(email=ANN, domain=Domain.objects.create(name="example.org"))
    user.set_unusable_password()
    user.save()
    attempt(sent(12, subject="Re: Invoice 4711 for your order"), "450 4.7.1 Too much mail from your address today")
    sent(3, ip="203.0.113.67", subject="Lunch on Friday")
    sent(1, user="ben@example.org", sender="ben@example.org")
    rollup.roll_up()
    return user


@pytest.mark.parametrize("theme", THEMES)
def test_nobody_is_shut_out_of_it(console: Console, flood: User, theme: str) -> None:
    console.wear(theme)
    for path in (PAGE, f"/admin/incident/ip/{IP}/", "/admin/incident/domain/far.test/"):
        assert console.problems(path) == []
    page = console.open(PAGE)
    page.get_by_role("button", name="Contain", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("15 messages in the spool: put on hold.")
    assert serious_violations(page, "#confirm") == []
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("Cancel", "Contain"):
        button = dialog.get_by_role("button", name=name)
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert console.misdeeds == []


def test_from_the_overview_to_the_cause_stopped_and_taken_back(console: Console, flood: User) -> None:
    page = console.open("/admin/")
    page.locator('[data-table="people"]').get_by_role("link", name=ANN).click()
    expect(page.locator("#t-thing")).to_have_text(ANN)
    expect(page.locator('[data-group="ips"]')).to_contain_text(IP)
    page.get_by_role("button", name="Contain", exact=True).click()
    dialog = page.get_by_role("dialog")
    effect = dialog.locator("#effect")
    expect(effect).to_contain_text("15 messages in the spool: put on hold.")
    dialog.get_by_label("Its mail in the spool").select_option("delete")
    expect(effect).to_contain_text("deleted, without a bounce")
    dialog.get_by_label(IP).check()
    expect(effect).to_contain_text(f"1 IP address blocked over SMTP: {IP}.")
    dialog.get_by_role("button", name="Contain").click()
    expect(page.locator("#results")).to_contain_text("15 messages deleted")
    expect(page.locator(".in-head")).to_contain_text("Contained")
    assert Containment.objects.open().exists() and not Entry.objects.filter(auth_user=ANN).exists()

    page.get_by_role("button", name="False alarm").click()
    expect(dialog).to_contain_text("15 deleted messages put back")
    dialog.get_by_role("button", name="False alarm").click()
    expect(page.locator("#results")).to_contain_text("15 deleted messages put back")
    expect(page.locator(".in-head")).not_to_contain_text("Contained")
    assert Entry.objects.filter(auth_user=ANN, hold=False).count() == 15
    assert console.misdeeds == []


def test_the_keyboard_goes_from_a_message_to_the_page_and_stops_it(console: Console, flood: User) -> None:
    page = console.open(PAGE)
    first = page.locator("#newest-1")
    first.focus()
    page.keyboard.press("Enter")
    popup = page.locator("#popup")
    expect(popup).to_contain_text("Envelope")
    popup.get_by_role("link", name="203.0.113.67").first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/admin/incident/ip/203\.0\.113\.67/"))
    page.get_by_role("button", name="Stop its mail").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("3 messages in the spool: put on hold.")
    page.get_by_role("dialog").get_by_role("button", name="Stop its mail").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#results")).to_contain_text("put on hold")
    assert Entry.objects.filter(client_ip="203.0.113.67", hold=True).count() == 3
