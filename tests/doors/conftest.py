"""Who goes through the doors."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts import actions
from accounts.models import Role, User

ROOT, CHIEF, ANN, PASSWORD = "root@example.org", "chief@example.org", "ann@example.org", "a-rather-long-secret"


@pytest.fixture(autouse=True)
def people(db: None, redis: object, home: object) -> None:
    actions.add_domain("example.org")
    for email, role in ((ROOT, Role.SYSTEM_ADMINISTRATOR), (CHIEF, Role.DOMAIN_ADMINISTRATOR), (ANN, Role.USER)):
        user = User(email=email, role=role, domain=actions.get_domain("example.org"))
        user.set_unusable_password()
        user.save()


def browser(email: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(email=email), backend="django.contrib.auth.backends.ModelBackend")
    return client
