"""Accounts in a browser: connections, an account in wrong hands, and the user site."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts import actions
from accounts.models import Domain, Role, Status, User
from spool.models import Entry
from tests.console.browser.conftest import Console
from tests.console.browser.themes import THEMES
from tests.support.messages import a_submission
from tests.support.spool_states import take_in

pytestmark = pytest.mark.alike

PASSWORD = "correct-horse-battery"


@pytest.fixture
def ann(console: Console) -> User:
    actions.add_domain("example.org")
    user = actions.add_user("ann@example.org", PASSWORD, name="Ann Example", forward_to="eve@evil.example")
    entries = take_in(*[a_submission(user.email, f"x{i}@elsewhere.test") for i in range(3)])
    Entry.objects.filter(pk__in=[entry.pk for entry in entries]).update(auth_user=user.email)
    return user


def a_chief() -> User:
    user = User(email="chief@example.org", domain=Domain.objects.get(), role=Role.DOMAIN_ADMINISTRATOR)
    user.set_unusable_password()
    user.save()
    return user


def test_a_form_that_was_open_tells_what_was_changed_meanwhile(console: Console, ann: User) -> None:
    page = console.open(f"/admin/accounts/user/{ann.pk}/change/")
    actions.change(User.objects.get(pk=ann.pk), status=Status.RECEIVING, mailbox_mb=500, forward_to="")
    page.get_by_label("Mailbox size (MB)").fill("200")
    page.get_by_label("Display name").fill("Ann Elsewhere")
    page.get_by_role("button", name="Save and continue").click()
    told = page.get_by_text("Changed meanwhile")
    expect(told).to_contain_text("from “0” to “500”")
    expect(page.get_by_label("Mailbox size (MB)")).to_have_value("200")
    expect(page.get_by_label("Forward to")).to_have_value("")
    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_text("changed successfully").first).to_be_visible()
    ann.refresh_from_db()
    assert (ann.name, ann.mailbox_mb, ann.status, ann.forward_to) == ("Ann Elsewhere", 200, Status.RECEIVING, "")


def test_an_account_is_reviewed_contained_and_opened_again(console: Console, ann: User) -> None:
    thief = Client()
    thief.post(reverse("portal:login"), {"username": ann.email, "password": PASSWORD})
    page = console.open(f"/admin/accounts/user/{ann.pk}/change/")
    page.get_by_role("link", name="Review and contain").click()
    expect(page.locator(".ms-account")).to_contain_text("eve@evil.example")
    expect(page.locator(".ms-account")).to_contain_text("3 messages in the spool that are not on hold")
    page.get_by_role("button", name="Contain").click()
    expect(page.locator("#contained")).to_contain_text("1 connection ended: 1 web.")
    expect(page.locator("#contained")).to_contain_text("3 messages in the spool put on hold.")
    assert thief.get(reverse("portal:home")).status_code == 302
    page.get_by_role("button", name="Stop forwarding").click()
    page.locator("#asked").get_by_role("button").click()
    expect(page.get_by_text("It went to eve@evil.example.").first).to_be_visible()
    page.get_by_role("link", name="3 messages on hold in the spool").click()
    expect(page.locator(".ms-entry")).to_have_count(3)
    page.go_back()
    page.get_by_role("button", name="Restore access, keep the new password").click()
    expect(page.get_by_text("ann@example.org is enabled again.").first).to_be_visible()
    assert Entry.objects.held().count() == 0


def test_an_administrator_manages_a_user_and_comes_back(console: Console, ann: User) -> None:
    page = console.open(f"/admin/accounts/user/{ann.pk}/change/")
    page.get_by_role("button", name="Manage user").click()
    expect(page.locator(".me-banner")).to_contain_text("Signed in as ann@example.org (impersonating")
    page.get_by_role("link", name="My mail in the spool").click()
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Recall the chosen").click()
    page.get_by_role("button", name="Recall 1").click()
    expect(page.get_by_role("status").filter(has_text="1 recalled.")).to_be_visible()
    assert Entry.objects.count() == 2
    page.get_by_role("button", name="Back to the console").click()
    expect(page.get_by_role("button", name="Contain")).to_be_visible()


def test_a_connection_is_dropped_from_the_list(console: Console, ann: User) -> None:
    other = Client()
    other.post(reverse("portal:login"), {"username": ann.email, "password": PASSWORD})
    page = console.open("/admin/accounts/user/connections/")
    row = page.locator("tr.cells").filter(has_text=ann.email)
    row.get_by_role("button", name="Drop").click()
    expect(page.get_by_text("1 connection ended: 1 web.").first).to_be_visible()
    expect(page.locator("tr.cells").filter(has_text=ann.email)).to_have_count(0)
    assert other.get(reverse("portal:home")).status_code == 302


def log_in(console: Console, user: User) -> Page:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": console.base}
    console.page.context.add_cookies([cookie])  # type: ignore[list-item]
    return console.open("/me/")


def test_a_domain_administrator_adds_a_user_and_disables_another(console: Console, ann: User) -> None:
    page = log_in(console, a_chief())
    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_role("link", name="Add user").click()
    page.get_by_label("E-mail address").fill("new")
    page.get_by_label("Password").fill("a-brand-new-horse")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_contain_text("new@example.org is added.")
    page.get_by_role("link", name="ann@example.org").click()
    page.get_by_label("Status").select_option("receiving")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Disable and Allow Mail")
    ann.refresh_from_db()
    assert ann.status == Status.RECEIVING


@pytest.mark.parametrize("theme", THEMES)
def test_every_page_is_accessible_and_fits_a_phone(console: Console, ann: User, theme: str) -> None:
    console.wear(theme)
    problems = []
    console_pages = ("connections/", f"{ann.pk}/contain/", f"{ann.pk}/password/")
    for path in [f"/admin/accounts/user/{name}" for name in console_pages]:
        problems += console.problems(path)
    log_in(console, a_chief())
    names = (
        "home",
        "settings",
        "forwarding",
        "password",
        "mail",
        "connections",
        "users",
        "add_users",
        "aliases",
        "lists",
    )
    for name in (*names, "defaults", "senders"):
        problems += console.problems(reverse(f"portal:{name}"))
    assert problems == []
