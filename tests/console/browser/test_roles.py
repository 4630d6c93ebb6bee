"""The console of help desk and who only looks, and the user site's pages about mail, on a screen and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from accounts import actions as accounts
from accounts.models import Role, User
from quarantine.models import Item
from spool.models import Entry, Outcome
from tests.console.browser.conftest import Console
from tests.console.browser.themes import THEMES
from tests.quarantine.conftest import quarantined, spooled
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in
from tests.throttling.made import an_event

__all__ = ["quarantined", "spooled"]
ANN = "ann@example.org"


@pytest.fixture
def mail(console: Console, quarantined: Callable[..., Item]) -> dict[str, Any]:
    """A message that waits, one that bounced, and one in quarantine; all of them Ann's."""
    accounts.add_domain("example.org")
    spam = quarantined(sender=ANN, to=["x@far.test"], subject="Win a prize today, and every day after that")
    Item.objects.update(auth_user=ANN)
    gone, waits = take_in(*[a_submission(ANN, [f"{name}@far.test"], subject=name) for name in ("Gone", "Waits")])
    Entry.objects.update(auth_user=ANN)
    attempt([gone], "550 5.1.1 No such user here, and none that was ever called so", outcome=Outcome.BOUNCED)
    attempt([waits])
    an_event(ANN)
    return {"spam": spam, "waits": waits, "gone": gone}


def become(console: Console, role: Role, email: str = ANN) -> None:
    """Log somebody of that role in, in the same tab."""
    user = User(email=email, role=role, domain=accounts.get_domain("example.org"))
    user.set_unusable_password()
    user.save()
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    console.page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": console.base}])


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("role", [Role.HELP_DESK, Role.READ_ONLY])
def test_the_console_of_a_role_is_whole(console: Console, mail: dict[str, Any], role: Role, theme: str) -> None:
    become(console, role)
    console.wear(theme)
    names = ("spool_entry_changelist", "quarantine_item_spam", "throttling_throttleevent_users")
    problems = [one for name in names for one in console.problems(reverse(f"admin:{name}"))]
    assert problems == []


def test_help_desk_releases_from_quarantine_by_hand(console: Console, mail: dict[str, Any]) -> None:
    become(console, Role.HELP_DESK)
    page = console.open(reverse("admin:quarantine_item_spam"))
    page.locator(".pick-one").first.check()
    expect(page.locator("#bar [data-act]")).to_have_count(1)
    page.locator("#bar [data-act=resend]").click()
    page.locator("#confirm button[type=submit]").click()
    expect(page.locator("#results")).to_contain_text("1 resent")
    assert Entry.objects.filter(file_name=mail["spam"].file_name).exists()


def test_who_only_looks_has_nothing_to_choose(console: Console, mail: dict[str, Any]) -> None:
    become(console, Role.READ_ONLY)
    page = console.open(reverse("admin:spool_entry_changelist"))
    expect(page.locator(".ms-entry")).to_have_count(1)
    expect(page.locator(".pick-one").first).to_be_hidden()
    page.locator("[data-open]").first.click()
    expect(page.locator("#popup #tab-headers")).to_be_visible()
    expect(page.locator("#popup [data-act]")).to_have_count(0)
    expect(page.locator("#popup #tab-content")).to_have_count(0)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
def test_the_pages_about_mail_are_whole(console: Console, mail: dict[str, Any], role: Role, theme: str) -> None:
    become(console, role)
    console.wear(theme)
    places = [("outcomes",), ("message", mail["waits"].file_name), ("quarantine",)]
    places += [("quarantine_item", mail["spam"].file_name)]
    if role is Role.DOMAIN_ADMINISTRATOR:
        places += [("domain_outcomes",), ("domain_message", mail["gone"].file_name), ("domain_quarantine",)]
    problems = [one for name, *args in places for one in console.problems(reverse(f"portal:{name}", args=args))]
    assert problems == []
