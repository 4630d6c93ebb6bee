"""What the tests of the pages share."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.models import Role, User

PASSWORD = "a-rather-long-secret"


@pytest.fixture
def administrator(client: Client) -> Client:
    """A browser in which a system administrator is logged in."""
    # Without a password: hashing one takes longer than most tests.
    user = User(email="admin@localhost", role=Role.SYSTEM_ADMINISTRATOR)
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    return client


@pytest.fixture(autouse=True)
def _no_page_of_an_earlier_test() -> None:
    cache.clear()
