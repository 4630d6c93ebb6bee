"""Takes the pictures of the documentation: `make screenshots` writes docs/images/, in a home of its own.

With a folder as its argument they go there instead, each also in dark.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
THEMES = ("light",)
if len(sys.argv) > 1:
    IMAGES, THEMES = Path(sys.argv[1]).absolute(), ("light", "dark")
_HOME = Path(tempfile.mkdtemp(prefix="mailspool-screenshots-"))
os.environ |= {
    "MAILSPOOL_HOME": str(_HOME),
    "MAILSPOOL_HOSTNAME": "mail.example.org",
    "TZ": "UTC",
    "DJANGO_SETTINGS_MODULE": "mailspool.settings",
    "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
    "MAILSPOOL_LOG_LEVEL": "ERROR",
}
os.environ.pop("DATABASE_URL", None)

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

from accounts import actions as accounts  # noqa: E402
from accounts.models import Role  # noqa: E402
from spool.actions import Actor  # noqa: E402
from spool.alerts import watching  # noqa: E402
from spool.models import AlertKind, AlertRule, Entry  # noqa: E402
from tests.support.daemon import Daemon  # noqa: E402
from tests.support.demo_spool import fill  # noqa: E402
from tests.support.demo_traffic import count_a_day  # noqa: E402
from tests.support.ports import free_port, is_listening  # noqa: E402
from tests.support.redis import RedisServer  # noqa: E402

PASSWORD = "correct-horse-battery"
SPOOL, WAITING = "/admin/spool/entry/", "/admin/spool/entry/waiting/"


def main() -> None:
    """Fill a spool, start the web server on it, and visit each page."""
    settings.HOME.create()
    redis = RedisServer(settings.HOME.redis, settings.HOME.redis_socket)
    redis.start()
    port = free_port()
    web = Daemon(
        "web",
        [sys.executable, "-m", "gunicorn", "mailspool.wsgi", "-b", f"127.0.0.1:{port}", "--threads", "4"],
        _HOME / "web.log",
    )
    try:
        call_command("migrate", verbosity=0)
        user = accounts.add_user("admin@localhost", PASSWORD, role=Role.SYSTEM_ADMINISTRATOR)
        entry = fill(Actor.of(user))
        count_a_day(timezone.now())
        AlertRule.objects.create(name="Somebody floods", kind=AlertKind.SENDER, threshold=100, minutes=10)
        watching.look(timezone.now())
        web.start(ready=lambda: is_listening(port))
        IMAGES.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
            )
            page = browser.new_page(viewport={"width": 1440, "height": 900}, base_url=f"http://127.0.0.1:{port}")
            _visit(page, entry)
            browser.close()
    finally:
        web.stop()
        redis.stop()
        shutil.rmtree(_HOME, ignore_errors=True)


def _visit(page: Page, entry: Entry) -> None:
    page.goto("/admin/login/")
    page.fill("[name=username]", "admin@localhost")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    for theme in THEMES:
        end = "" if theme == "light" else "-dark"
        page.goto(SPOOL)
        page.evaluate(f"localStorage.setItem('adminTheme', JSON.stringify('{theme}')); sessionStorage.clear()")
        page.set_viewport_size({"width": 1440, "height": 900})
        for name, path in (
            ("overview", "/admin/"),
            ("spool", SPOOL),
            ("waiting", WAITING),
            ("backlog", f"{SPOOL}backlog/"),
            ("destinations", "/admin/destinations/"),
            ("destination", "/admin/destinations/one/?key=mx.limits.example"),
            ("trace", "/admin/spool/trace/"),
            ("audit", "/admin/audit/auditevent/"),
        ):
            page.goto(path)
            _take(page, name + end)
        _look_at_one(page, entry, end)
        _act(page, end)
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(WAITING)
        _take(page, f"phone{end}")


def _look_at_one(page: Page, entry: Entry, end: str) -> None:
    page.goto(f"{WAITING}?message={entry.file_name}")
    page.wait_for_selector("#popup #why")
    page.wait_for_timeout(300)
    _take(page, f"message{end}")
    page.click("#tab-content")
    page.wait_for_selector("#popup iframe")
    _take(page, f"preview{end}")


def _act(page: Page, end: str) -> None:
    page.goto(f"{WAITING}?domain=down.example")
    page.click("#filter-button")
    _take(page, f"filter{end}")
    page.click("#filter-button")
    page.check(".pick-one >> nth=0")
    page.click("#bar-all")
    page.click("#bar [data-act=redirect]")
    page.fill("[name=p-next_hop]", "relay.example.net")
    page.wait_for_selector("#effect .tone-active")
    _take(page, f"redirect{end}")


def _take(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)
    page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
