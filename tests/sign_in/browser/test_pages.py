"""The pages in a browser: with the keyboard, on a phone, in light and dark, and none that breaks its policy."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import ExternalIdentity, Login, SecondFactor, SignInSettings
from accounts.sign_in import app_passwords
from spool.actions.actor import Actor
from tests.console.browser.conftest import serious_violations
from tests.sign_in.conftest import ANN, PASSWORD, ROOT, browser, set_up, the, with_app

pytestmark = [pytest.mark.alike, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def tab(transactional_db: None, people: None, live_server: Any, page: Page) -> Any:
    misdeeds: list[str] = []
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    page.on("console", lambda line: misdeeds.append(line.text) if "Content Security Policy" in line.text else None)
    page.on("pageerror", lambda error: misdeeds.append(str(error)))
    page.base = live_server.url.replace("127.0.0.1", "localhost")  # type: ignore[attr-defined]
    yield page
    assert misdeeds == []


def enter(tab: Any, email: str) -> None:
    client = browser(email)
    session = client.session
    session["mailspool_second_factor"] = True
    session.save()
    tab.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": tab.base}])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_a_phone(tab: Any, theme: str) -> None:
    set_up(oidc_issuer="https://login.example.org", oidc_client_id="x", oidc_label="Example ID")
    with_app(browser(ANN))
    app_passwords.create(Actor.of(the(ANN)), the(ANN), "Thunderbird on my laptop")
    ExternalIdentity.objects.create(
        user=the(ANN), issuer="https://login.example.org", subject="ann", created=timezone.now()
    )
    tab.goto(f"{tab.base}/me/login/")
    tab.evaluate(f"localStorage.setItem('adminTheme', JSON.stringify('{theme}'))")
    problems = []

    def look(name: str, within: str) -> None:
        tab.wait_for_load_state("networkidle")
        problems.extend(
            f"{name}: {one['id']} {one['nodes'][0]['html'][:200]}" for one in serious_violations(tab, within)
        )
        for width, height in ((390, 844), (1440, 900)):
            tab.set_viewport_size({"width": width, "height": height})
            if tab.evaluate(f"document.documentElement.scrollWidth > {width}"):
                problems.append(f"{name}: wider than {width}")

    tab.goto(f"{tab.base}/me/login/")
    look("login", "main")
    tab.get_by_label("E-mail address").fill(ANN)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="Second factor")).to_be_visible()
    look("second", "main")
    enter(tab, ANN)
    for name in ("sign_in", "add_app", "confirm", "connections"):
        tab.goto(tab.base + reverse(f"portal:{name}"))
        look(name, "#me")
    tab.goto(tab.base + reverse("portal:sign_in"))
    tab.get_by_role("button", name="Make new codes").click()
    look("codes", "#me")
    tab.goto(tab.base + reverse("portal:sign_in"))
    tab.get_by_label("For which program or device").fill("Phone")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="Your new application password")).to_be_visible()
    look("app_password", "#me")
    enter(tab, ROOT)
    tab.goto(f"{tab.base}/admin/accounts/signinsettings/")
    look("settings", "#content")
    # The tests' browsers come from nowhere.
    Login.objects.filter(ip="").delete()
    tab.goto(f"{tab.base}/admin/accounts/user/{the(ANN).pk}/contain/")
    look("contain", "#content")
    assert problems == []


def test_the_settings_are_ticked_and_typed(tab: Any) -> None:
    enter(tab, ROOT)
    tab.goto(f"{tab.base}/admin/accounts/signinsettings/")
    tab.get_by_label("System administrator").check()
    tab.get_by_label("Domain administrator").check()
    tab.get_by_label("Issuer").fill("https://login.example.org")
    tab.get_by_label("Client ID").fill("mailspool")
    tab.get_by_label("Client secret").fill("a-client-secret")
    tab.get_by_role("button", name="Save and continue editing").click()
    expect(tab.get_by_text("changed successfully").first).to_be_visible()
    row = SignInSettings.load()
    assert row.required_roles == {"admin", "domain_admin"}
    assert row.has_single_sign_on and row.sealed_oidc_secret.startswith("gAAAA")
    expect(tab.get_by_label("System administrator")).to_be_checked()
    tab.get_by_label("Domain administrator").uncheck()
    tab.get_by_role("button", name="Save and continue editing").click()
    expect(tab.get_by_text("changed successfully").first).to_be_visible()
    assert SignInSettings.load().required_roles == {"admin"}
    assert SignInSettings.load().sealed_oidc_secret == row.sealed_oidc_secret
    assert not SecondFactor.objects.exists()
