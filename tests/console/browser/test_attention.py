"""What needs attention in a browser, and a session that ends while a page is open."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Domain, Role, User, WebSession
from mailspool.attention import items
from spool.models import AlertEvent, AlertRule
from tests.console.browser.conftest import Console, serious_violations
from tests.console.browser.themes import THEMES

pytestmark = pytest.mark.alike

NAME = "dmitri@example.org"


def an_alert(key: str = NAME, kind: str = "flood-user") -> AlertEvent:
    rule, _ = AlertRule.objects.get_or_create(name=kind, defaults={"kind": kind, "threshold": 300, "minutes": 5})
    event = AlertEvent.objects.create(
        rule=rule, rule_name=kind, kind=kind, key=key, threshold=300, value=5169, highest=5169, began=timezone.now()
    )
    items.look_again()
    return event


def poll(page: Page) -> None:
    page.evaluate("htmx.trigger(document.getElementById('attention'), 'refresh')")


def test_an_alert_appears_while_a_page_is_open_and_goes_when_it_is_muted(console: Console) -> None:
    page = console.open("/admin/accounts/user/")
    expect(page).to_have_title(re.compile("^[^(]"))
    for number in range(4):
        an_alert(f"u{number}@example.org")
    poll(page)
    strip = page.get_by_role("region", name="Needs attention")
    expect(strip).to_contain_text("u3@example.org handed in 5,169 messages within 5 minutes")
    expect(page).to_have_title(re.compile(r"^\(4\) "))
    expect(page.locator("#attention-count")).to_contain_text("4")
    strip.get_by_text("2 more").click()
    strip.get_by_role("button", name=re.compile("Acknowledge: u0@")).click()
    expect(strip).to_contain_text("acknowledged by admin@localhost")
    expect(page).to_have_title(re.compile(r"^\(3\) "))
    # What was opened stays open.
    expect(strip.get_by_text("u0@example.org handed in")).to_be_visible()
    strip.locator("summary[aria-label^='Mute: u3@']").click()
    strip.locator("details[open].at-mute").get_by_role("button", name="1 day").click()
    expect(strip).not_to_contain_text("u3@example.org")
    expect(page.locator("#attention-count")).to_contain_text("2")


@pytest.mark.parametrize("theme", THEMES)
def test_nobody_is_shut_out_of_it(console: Console, theme: str) -> None:
    console.wear(theme)
    event = an_alert(kind="flood-ip", key="192.0.2.66")
    for path in ("/admin/throttling/guardevent/", f"/admin/attention/{event.pk}/"):
        assert console.problems(path) == []
        assert serious_violations(console.page, "#attention") == []
    console.page.get_by_role("menuitem", name="Blacklist IP").click()
    expect(console.page.locator("#confirm")).to_contain_text("192.0.2.66")


def sign_out() -> None:
    WebSession.objects.all().delete()


def sign_in(console: Console, email: str = "admin@localhost") -> None:
    client = Client()
    client.force_login(User.objects.get(email=email), backend="django.contrib.auth.backends.ModelBackend")
    cookie = client.cookies["sessionid"]
    console.page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": console.base}])


def test_a_session_that_ends_is_told_and_the_list_and_what_was_typed_stay(console: Console) -> None:
    page = console.open("/admin/spool/entry/")
    page.locator(".ms-search input[type=search]").fill("half a word")
    sign_out()
    page.evaluate("window.msRefresh()")
    ended = page.get_by_role("dialog", name="You have been signed out")
    expect(ended).to_be_visible()
    expect(page.locator("#live-state")).to_have_class(re.compile("failed"))
    expect(page.locator("#live-text")).to_have_text("Signed out")
    assert page.locator("#live input[name=password]").count() == 0
    link = ended.get_by_role("link", name="Sign in again")
    assert link.get_attribute("target") == "_blank"
    assert link.get_attribute("href") == "/admin/login/?next=/session/signed-in/"
    sign_in(console)
    expect(ended).to_be_hidden()
    expect(page.locator("#live-text")).to_contain_text("Live")
    expect(page.locator("#live-state")).not_to_have_class(re.compile("failed"))
    assert page.locator(".ms-search input[type=search]").input_value() == "half a word"


def test_a_form_is_not_lost_to_the_login_and_is_sent_with_the_new_session(console: Console) -> None:
    page = console.open("/admin/accounts/domain/add/")
    page.locator("[name=name]").fill("typed.test")
    sign_out()
    # As after a while in which nothing was asked.
    page.clock.install()
    page.clock.fast_forward(60_000)
    page.get_by_role("button", name="Save", exact=True).click()
    ended = page.get_by_role("dialog", name="You have been signed out")
    expect(ended).to_be_visible()
    sign_in(console)
    page.clock.fast_forward(3000)
    expect(ended).to_be_hidden()
    assert page.locator("[name=name]").input_value() == "typed.test"
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile("/admin/accounts/domain/"))
    expect(page.locator("body")).to_contain_text("typed.test")
    assert Domain.objects.filter(name="typed.test").exists()


def test_a_page_of_somebody_else_is_not_gone_on_with(console: Console) -> None:
    other = User(email="other@localhost", role=Role.SYSTEM_ADMINISTRATOR)
    other.set_unusable_password()
    other.save()
    page = console.open("/admin/spool/entry/")
    sign_out()
    page.evaluate("window.msRefresh()")
    ended = page.get_by_role("dialog", name="You have been signed out")
    expect(ended).to_be_visible()
    sign_in(console, "other@localhost")
    expect(ended).to_contain_text("You are signed in as")
    expect(ended.get_by_role("link", name="Reload the page")).to_be_visible()


def test_the_dot_is_not_green_while_the_server_is_not_reached(console: Console) -> None:
    page = console.open("/admin/spool/entry/")
    page.route("**/admin/spool/entry/**", lambda route: route.abort())
    page.evaluate("window.msRefresh()")
    expect(page.locator("#live-text")).to_have_text("Not reached; trying again")
    green = page.locator(".ms-dot").evaluate("dot => getComputedStyle(dot).backgroundColor")
    page.unroute("**/admin/spool/entry/**")
    page.evaluate("window.msRefresh()")
    expect(page.locator("#live-text")).to_contain_text("Live")
    assert page.locator(".ms-dot").evaluate("dot => getComputedStyle(dot).backgroundColor") != green
