"""A browser that is logged in, and that notes everything a page should never do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from accounts.models import Role, User
from mailspool.first_run import steps as first_run
from mailspool.home import Home
from spool.models import Installation
from tests.support.redis import RedisServer

# Playwright's event loop runs in this thread; the tests use the database from it, and from nowhere else at once.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
PATIENCE_MS = 30_000
# The one without windows draws the same pages for a third of the processor time.
CHROMIUM = shutil.which("chromium-headless-shell") or "/usr/bin/chromium"


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {
        "executable_path": CHROMIUM,
        "args": [
            "--no-sandbox",
            "--disable-gpu",
            # Letters are as wide as in a window.
            "--font-render-hinting=none",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    }


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    return {"viewport": {"width": 1440, "height": 900}}


def serious_violations(page: Page, within: str) -> list[dict[str, Any]]:
    """What axe finds in that part of the page, and calls serious or critical."""
    found = Axe().run(page, context=[[within]]).response["violations"]
    return [one for one in found if one["impact"] in ("serious", "critical")]


@dataclass
class Console:
    """One tab. `misdeeds` are dialogs, script errors, breaches of the page's policy and requests to other hosts.

    A test ends with none.
    """

    page: Page
    base: str
    misdeeds: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def rows(self) -> int:
        return self.page.locator(".ms-entry").count()

    def wear(self, theme: str) -> None:
        """Have every page shown in `light` or `dark` from here on."""
        self.open("/admin/login/").evaluate(f"localStorage.setItem('adminTheme', JSON.stringify('{theme}'))")

    def problems(self, path: str) -> list[str]:
        """What axe finds on the page, and whether a phone would have to scroll sideways."""
        page = self.open(path)
        page.wait_for_load_state("networkidle")
        # Only what is ours: the sidebar and the header of the console are the admin theme's.
        found = serious_violations(page, "#me" if path.startswith("/me/") else "#content")
        problems = [f"{path}: {one['id']} {one['nodes'][0]['html'][:200]}" for one in found]
        page.set_viewport_size({"width": 390, "height": 844})
        if page.evaluate("document.documentElement.scrollWidth > 390"):
            problems.append(f"{path}: wider than a phone")
        page.set_viewport_size({"width": 1440, "height": 900})
        return problems


@pytest.fixture
def console(
    transactional_db: None, live_server: LiveServer, context: BrowserContext, home: Home, redis: RedisServer
) -> Iterator[Console]:
    """A tab in which a system administrator is logged in."""
    user = User(email="admin@localhost", role=Role.SYSTEM_ADMINISTRATOR)
    user.set_unusable_password()
    user.save()
    # The Overview of an installation that is no new one.
    Installation.objects.update_or_create(pk=1, defaults={"first_run_over": timezone.now()})
    first_run.forget()
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    tab = Console(context.new_page(), live_server.url)
    # Only a page that never comes is a failure: other tests may keep the machine busy.
    tab.page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    host = urlsplit(live_server.url).netloc
    tab.page.on("dialog", lambda dialog: (tab.misdeeds.append(f"dialog {dialog.message}"), dialog.dismiss()))
    tab.page.on("pageerror", lambda error: tab.misdeeds.append(f"error {error}"))
    tab.page.on(
        "console",
        lambda said: tab.misdeeds.append(f"policy {said.text}") if "Content Security Policy" in said.text else None,
    )
    context.on(
        "request",
        lambda request: (
            tab.misdeeds.append(f"request {request.url}")
            if urlsplit(request.url).scheme in ("http", "https", "ws") and urlsplit(request.url).netloc != host
            else None
        ),
    )
    yield tab
    assert tab.misdeeds == []
