"""People who sign in, and how they do it."""

from __future__ import annotations

import re
import time
from typing import Any

import pyotp
import pytest
from django.test import Client
from django.urls import reverse

from accounts import actions
from accounts.models import Role, SignInSettings, User
from base.one_row import OneRow

PASSWORD = "correct-horse-battery"
ROOT, CHIEF, ANN, BOB = "root@example.org", "chief@example.org", "ann@example.org", "bob@example.org"


@pytest.fixture(autouse=True)
def people(db: None, redis: object, home: object) -> None:
    actions.add_domain("example.org")
    for email, role in ((ROOT, Role.SYSTEM_ADMINISTRATOR), (CHIEF, Role.DOMAIN_ADMINISTRATOR), (ANN, Role.USER)):
        actions.add_user(email, PASSWORD, role=role)
    actions.add_user(BOB, PASSWORD)


def the(email: str) -> User:
    return User.objects.select_related("domain").get(email=email)


def set_up(**fields: Any) -> SignInSettings:
    """The row of settings, in effect at once."""
    row = SignInSettings.load()
    for name, value in fields.items():
        setattr(row, name, value)
    row.full_clean()
    row.save()
    OneRow.forget()
    return row


def log_in(client: Client, email: str = ANN, password: str = PASSWORD, **more: str) -> Any:
    return client.post(reverse("portal:login"), {"username": email, "password": password, **more})


def browser(email: str = ANN) -> Client:
    """Somebody who has logged in just now."""
    client = Client()
    client.force_login(the(email), backend="django.contrib.auth.backends.ModelBackend")
    return client


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def is_in(client: Client) -> bool:
    return client.get(reverse("portal:home")).status_code == 200


class App:
    """An authenticator app on a phone, whose clock can be put on so that it shows another code."""

    def __init__(self, secret: str) -> None:
        self._code = pyotp.TOTP(secret)
        self.steps = 0

    def code(self) -> str:
        return self._code.at(int(time.time()) + 30 * self.steps)

    def next(self) -> str:
        """The code of the next 30 seconds, which is taken too: one that was shown before is used up."""
        self.steps += 1
        return self.code()


def with_app(client: Client) -> tuple[App, list[str]]:
    """Set up an app on the pages; it, and the recovery codes that are shown then."""
    page = text(client.get(reverse("portal:add_app")))
    secret = re.search(r"secret=([A-Z2-7]{32})", page)
    assert secret is not None
    app = App(secret[1])
    shown = client.post(reverse("portal:add_app"), {"code": app.code(), "name": "Phone"})
    # Once there are recovery codes none are shown again.
    assert shown.status_code in (200, 302)
    return app, re.findall(r"<li>((?:[a-z2-7]{4}-){3}[a-z2-7]{4})</li>", text(shown))
