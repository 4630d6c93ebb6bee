"""A dangerous step long after the login, in a browser: the dialog asks first, and leads back to the page."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import expect

from accounts import actions as accounts
from accounts.models import Status, User
from tests.console.browser.conftest import Console

pytestmark = pytest.mark.alike
PASSWORD = "correct-horse-battery"


def a_long_time_ago(console: Console) -> None:
    """The last proof is older than it may be."""
    [key] = [one["value"] for one in console.page.context.cookies() if one["name"] == settings.SESSION_COOKIE_NAME]
    session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    session["mailspool_proved"] = (timezone.now() - timedelta(minutes=16)).isoformat()
    session.save()


def test_containing_asks_and_goes_on_where_it_was(console: Console) -> None:
    accounts.add_domain("example.org")
    accounts.add_user("ann@example.org", PASSWORD)
    root = User.objects.get(email="admin@localhost")
    accounts.change_password(accounts.Actor.system(), root, PASSWORD)
    console.page.context.clear_cookies()
    page = console.open("/admin/login/?next=/admin/incident/user/ann@example.org/")
    page.get_by_label("Address").fill("admin@localhost")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/incident/**")
    a_long_time_ago(console)
    page.get_by_role("button", name="Contain").first.click()
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text("prove that it is still you")
    dialog.get_by_role("button", name="Go on").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on", exact=True).click()
    page.wait_for_url("**/incident/**")
    page.get_by_role("button", name="Contain").first.click()
    expect(dialog).not_to_contain_text("prove that it is still you")
    dialog.get_by_role("button", name="Contain").click()
    expect(page.locator("#results")).to_contain_text("Undo")
    assert User.objects.get(email="ann@example.org").status != Status.ENABLED
