"""The login itself: sessions, hosts, and where it leads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse

from accounts import actions as accounts
from accounts.models import Role

PASSWORD = "a-rather-long-secret"
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(db: None) -> str:
    accounts.add_domain("people.test")
    accounts.add_user("admin@people.test", PASSWORD, role=Role.SYSTEM_ADMINISTRATOR)
    return reverse("admin:login")


def log_in(client: Client, url: str, **fields: str) -> Any:
    return client.post(url, {"username": "admin@people.test", "password": PASSWORD, **fields})


@pytest.mark.django_db
class TestSessions:
    def test_a_session_that_somebody_else_has_begun_is_not_gone_on_with(self, client: Client, url: str) -> None:
        session = client.session
        session["planted"] = "by a stranger"
        session.save()
        before = session.session_key
        client.cookies[django_settings.SESSION_COOKIE_NAME] = before
        assert log_in(client, url).status_code == 302
        after = client.cookies[django_settings.SESSION_COOKIE_NAME].value
        assert after and after != before
        stranger = Client()
        stranger.cookies[django_settings.SESSION_COOKIE_NAME] = before
        assert stranger.get(reverse("admin:spool_route_changelist")).status_code == 302

    def test_a_name_that_nobody_gave_is_no_session(self, client: Client, url: str) -> None:
        client.cookies[django_settings.SESSION_COOKIE_NAME] = "x" * 32
        log_in(client, url)
        assert client.cookies[django_settings.SESSION_COOKIE_NAME].value != "x" * 32

    def test_its_cookie_is_out_of_reach_of_scripts_and_other_sites(self, client: Client, url: str) -> None:
        log_in(client, url)
        cookie = client.cookies[django_settings.SESSION_COOKIE_NAME]
        assert cookie["httponly"] and cookie["samesite"] == "Lax"

    def test_a_new_password_ends_the_sessions_of_the_old_one(self, client: Client, url: str) -> None:
        log_in(client, url)
        page = reverse("admin:spool_route_changelist")
        assert client.get(page).status_code == 200
        user = accounts.get_user("admin@people.test")
        user.set_password("another-long-secret")
        user.save()
        assert client.get(page).status_code == 302

    def test_logging_out_ends_the_session_for_good(self, client: Client, url: str) -> None:
        log_in(client, url)
        kept = client.cookies[django_settings.SESSION_COOKIE_NAME].value
        client.post(reverse("admin:logout"))
        again = Client()
        again.cookies[django_settings.SESSION_COOKIE_NAME] = kept
        assert again.get(reverse("admin:spool_route_changelist")).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "https://testserver@evil.example/",
    ],
)
def test_the_login_leads_nowhere_else(client: Client, url: str, elsewhere: str) -> None:
    answer = log_in(client, url, next=elsewhere)
    assert answer.status_code == 302
    assert answer["Location"] == reverse("admin:index")
    again = client.get(url, {"next": elsewhere})
    assert "evil.example" not in again.get("Location", "") and "javascript" not in again.get("Location", "")


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost@evil.example", "localhost:x"])
def test_another_hosts_name_gets_no_page(client: Client, host: str) -> None:
    for path in ("/", reverse("admin:login")):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 400
        assert "evil.example" not in answer.content.decode()
    assert client.get("/admin/login/", headers={"host": "localhost", "x-forwarded-host": host}).status_code == 200


def test_djangos_own_checks_for_production_have_nothing_to_say(tmp_path: Path) -> None:
    env = {**os.environ, "MAILSPOOL_HOME": str(tmp_path), "MAILSPOOL_HTTPS": "1"}
    for name in ("DATABASE_URL", "DJANGO_ALLOW_ASYNC_UNSAFE"):
        env.pop(name, None)
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "INFO"],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout
