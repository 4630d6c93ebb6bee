"""One version, in mailspool/__init__.py, and everybody who says it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse

from accounts.models import User
from mailspool import VERSION

PROJECT = Path(__file__).resolve().parents[2]


def command(*words: str) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", *words], cwd=PROJECT, check=True, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.mark.parametrize("words", [["--version"], ["version"], ["spool", "--version"]])
def test_the_command_line_says_mailspools_version(words: list[str]) -> None:
    assert command(*words) == f"Mailspool {VERSION}\n"


def test_in_detail_it_says_what_it_runs_on() -> None:
    first, python, django, database = command("version", "--verbose").splitlines()

    assert (first, python.split()[0], django.split()[0]) == (f"Mailspool {VERSION}", "Python", "Django")
    assert database.split()[0] in ("SQLite", "PostgreSQL")


def test_packaging_takes_it_from_there() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())

    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "mailspool.VERSION"}


def test_a_monitor_on_this_machine_hears_it_and_a_stranger_does_not(client: Client, settings: LazySettings) -> None:
    settings.MAILSPOOL_METRICS_TOKEN = "sesame"
    stranger = {"REMOTE_ADDR": "192.0.2.9"}

    assert client.get("/healthz").content.decode() == f"ok\nMailspool {VERSION}\n"
    assert client.get("/healthz", headers={"X-Forwarded-For": "192.0.2.9"}).content == b"ok\n"
    assert client.get("/healthz", **stranger).content == b"ok\n"
    with_token = client.get("/healthz", headers={"Authorization": "Bearer sesame"}, **stranger)
    assert with_token.content.decode() == f"ok\nMailspool {VERSION}\n"


@pytest.mark.django_db
def test_the_console_says_it_to_who_is_logged_in(client: Client) -> None:
    assert f"Version {VERSION}" not in client.get(reverse("admin:login")).content.decode()

    client.force_login(User.objects.create_superuser("root@example.org", "correct-horse-battery"))
    assert f"Version {VERSION}" in client.get(reverse("admin:accounts_domain_changelist")).content.decode()
