"""The user site in other languages, in a browser: long words fit a phone, and scripts speak the page's language."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from accounts.models import Role, User
from tests.console.browser.conftest import Console
from tests.console.browser.test_throttling import ann_with_held_mail
from tests.console.browser.test_user_site_throttled import log_in_as, the_domains_administrator
from tests.throttling.made import an_event

pytestmark = pytest.mark.alike

PAGES = [
    "/me/",
    "/me/settings/",
    "/me/spam/",
    "/me/senders/",
    "/me/signing-in/",
    "/me/mail/",
    "/me/mail/history/",
    "/me/quarantine/",
    "/me/connections/",
    "/me/domain/users/",
    "/me/domain/users/add/",
    "/me/domain/defaults/",
    "/me/domain/senders/",
    "/me/domain/quarantine/",
    "/me/domain/throttled/",
]


def test_german_fits_a_phone_and_is_accessible(console: Console) -> None:
    ann_with_held_mail()
    an_event()
    chief = the_domains_administrator()
    User.objects.filter(pk=chief.pk).update(language="de")
    log_in_as(console, chief)
    found = [problem for path in PAGES for problem in console.problems(path)]
    if folder := os.environ.get("SHOTS_OF_LANGUAGES"):
        for theme in ("light", "dark"):
            console.wear(theme)
            for path in PAGES:
                page = console.open(path)
                for width in (390, 1440):
                    page.set_viewport_size({"width": width, "height": 900})
                    name = f"{path.strip('/').replace('/', '-')}-{width}-{theme}.png"
                    page.screenshot(path=Path(folder) / name, full_page=True)
    assert found == []


def test_what_scripts_say_is_in_the_language_of_the_page(console: Console) -> None:
    ann_with_held_mail()
    ann = User.objects.get(email="ann@example.org")
    User.objects.filter(pk=ann.pk).update(language="de", role=Role.USER)
    log_in_as(console, ann)
    page = console.open("/me/mail/")
    moment = page.locator("time[data-relative]").first
    expect(moment).to_contain_text("vor ")
    page.evaluate(
        "document.querySelector('time[data-relative]').dateTime = new Date(Date.now() - 3 * 86400e3).toISOString()"
    )
    page.evaluate("document.dispatchEvent(new Event('htmx:afterSettle'))")
    expect(moment).to_have_text("vor 3 Tg.")
    page.evaluate(
        "document.querySelector('time[data-relative]').dateTime = new Date(Date.now() + 7.2e6 + 5e3).toISOString()"
    )
    page.evaluate("document.dispatchEvent(new Event('htmx:afterSettle'))")
    expect(moment).to_have_text("in 2 h")


@pytest.mark.browser_context_args(locale="ar-EG")
def test_the_time_of_a_refresh_is_written_as_the_page_is_not_as_the_browser_would(console: Console) -> None:
    page = console.open("/admin/spool/entry/")
    expect(page.locator("#live-text")).to_have_text(re.compile(r"[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"))
