"""What a browser fetches that has never been here: little, compressed, and kept for good."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request

from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest

KB = 1024


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailspoolUnderTest]:
    """An installation with its console's files prepared, and an administrator."""
    system = MailspoolUnderTest(tmp_path_factory.mktemp("first-load"), web=True)
    system.prepare()
    system.manage("collectstatic", "--no-input", "--verbosity", "0")
    system.run(
        "from accounts.models import Role, User\n"
        f"User.objects.create_user('admin@localhost', {PASSWORD!r}, role=Role.SYSTEM_ADMINISTRATOR)"
    )
    system.redis.start()
    assert system.web is not None
    system.web.start(lambda: b"login" in _answer(system))
    yield system
    system.kill()


def _answer(system: MailspoolUnderTest) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{system.web_port}/admin/login/", timeout=5) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


def _weigh(page: Page, url: str) -> dict[str, int]:
    """Bytes on the wire of everything that a page fetches, by path."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    paths: dict[str, str] = {}
    weights: dict[str, int] = {}
    session.on("Network.responseReceived", lambda event: paths.update({event["requestId"]: event["response"]["url"]}))
    session.on(
        "Network.loadingFinished",
        lambda event: weights.update({paths.get(event["requestId"], "?"): int(event["encodedDataLength"])}),
    )
    page.goto(url)
    page.wait_for_load_state("networkidle")
    session.detach()
    return weights


def test_first_pages_weigh_little(installed: MailspoolUnderTest, browser: Browser) -> None:
    base = f"http://127.0.0.1:{installed.web_port}"
    stranger = browser.new_context()
    page = stranger.new_page()
    login = _weigh(page, f"{base}/admin/login/")
    assert sum(login.values()) <= 300 * KB, login
    page.fill("[name=username]", "admin@localhost")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{base}/admin/")
    kept = stranger.cookies()
    stranger.close()

    newcomer = browser.new_context()
    newcomer.add_cookies(kept)  # type: ignore[arg-type]
    overview = _weigh(newcomer.new_page(), f"{base}/admin/")
    newcomer.close()
    assert sum(overview.values()) <= 300 * KB, overview
    assert overview[f"{base}/admin/"] <= 60 * KB
    assert not any("chart" in path for path in (*login, *overview))


def test_files_are_kept_for_good(installed: MailspoolUnderTest, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    fetched: list[Request] = []
    page.on("request", lambda request: fetched.append(request))  # noqa: PLW0108 – Playwright marks what it is given
    page.goto(f"http://127.0.0.1:{installed.web_port}/admin/login/")
    page.wait_for_load_state("networkidle")
    files = [one for one in fetched if "/static/" in one.url]
    assert len(files) > 5
    for one in files:
        answer = one.response()
        assert answer is not None
        assert answer.status == 200, one.url
        assert "immutable" in (answer.header_value("cache-control") or ""), one.url
        if Path(one.url).suffix in {".css", ".js"}:
            assert answer.header_value("content-encoding") in ("gzip", "br"), one.url
    context.close()


def test_no_icon_is_read_aloud(installed: MailspoolUnderTest, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{installed.web_port}/admin/login/")
    icons = page.locator(".material-symbols-outlined")
    assert icons.count() > 0
    assert page.locator(".material-symbols-outlined:not([aria-hidden=true]):not([role=img])").count() == 0
    context.close()
