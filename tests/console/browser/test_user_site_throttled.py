"""The page Throttled Users of the user site, used by a domain's administrator in a browser."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from accounts import actions as accounts_actions
from accounts.models import Role, User
from tests.console.browser.conftest import Console
from tests.console.browser.test_throttling import ann_with_held_mail
from tests.throttling.made import ANN, an_event

pytestmark = pytest.mark.alike

PAGE = "/me/domain/throttled/"


def log_in_as(console: Console, user: User) -> None:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    console.page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": console.base}])


def the_domains_administrator() -> User:
    user = User(
        email="chief@example.org", domain=accounts_actions.get_domain("example.org"), role=Role.DOMAIN_ADMINISTRATOR
    )
    user.set_unusable_password()
    user.save()
    return user


def test_an_administrator_of_a_domain_raises_a_limit_and_nobody_is_throttled(console: Console) -> None:
    ann_with_held_mail()
    an_event()
    log_in_as(console, the_domains_administrator())
    page = console.open("/me/")
    page.get_by_role("link", name="Throttled Users").click()
    row = page.locator(".mt-row")
    expect(row).to_contain_text(ANN)
    row.get_by_role("link", name="Raise limit").click()
    page.get_by_label("New limit").fill("50")
    page.get_by_role("button", name="Raise limit").click()
    expect(page.get_by_role("alert")).to_contain_text("not more than the limit of 100")
    page.get_by_label("New limit").fill("500")
    page.get_by_role("button", name="Raise limit").click()
    expect(page.get_by_role("status")).to_contain_text("is now 500 an hour")
    expect(page.locator("main")).to_contain_text("Nobody is throttled")


def test_an_administrator_of_a_domain_releases_what_is_held(console: Console) -> None:
    entry = ann_with_held_mail()
    an_event()
    log_in_as(console, the_domains_administrator())
    page = console.open("/me/domain/throttled/")
    page.locator(".mt-row").get_by_role("link", name="Release now").click()
    expect(page.locator("main")).to_contain_text("1 held message goes now")
    page.get_by_role("button", name="Release now").click()
    expect(page.get_by_role("status")).to_contain_text("1 message goes now")
    expect(page.locator("main")).to_contain_text("Released by chief@example.org")
    entry.refresh_from_db()
    assert entry.due_at is not None
    assert entry.due_at <= timezone.now()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible_and_fit(console: Console, width: int, dark: bool) -> None:
    ann_with_held_mail()
    event = an_event()
    an_event("a-list-with-a-very-long-name-that-goes-on-and-on-and-on@example.org", "list", used=85)
    an_event("example.org", "domain", action="reject", domain="example.org")
    an_event("ben@example.org", ended=timezone.now(), ended_by="chief@example.org")
    page = console.page
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if dark else "light")
    act = [f"{PAGE}{verb}/{event.pk}/" for verb in ("release", "raise")]
    for user, paths in ((the_domains_administrator(), [PAGE, *act]), (User.objects.get(email=ANN), ["/me/"])):
        log_in_as(console, user)
        for path in paths:
            console.open(path)
            found = Axe().run(page, context="main")
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
