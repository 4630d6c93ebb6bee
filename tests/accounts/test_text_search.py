"""Words are found whatever the case of their letters, in any alphabet, on both databases."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import Domain, User
from tests.console.conftest import administrator

__all__ = ["administrator"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis", "home")]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Ärger im Büro", "ärger"),
        ("ärger im büro", "BÜRO"),
        ("ärger im büro", "ärger IM BÜRO"),
        ("СЧЁТ 17", "счёт"),
        ("счёт 17", "СЧЁТ 17"),
        ("ΟΔΟΣ", "οδος"),
        ("Lunch on Friday", "LUNCH"),
        ("100% (é) [a-z]", "(É) [A-Z]"),
        ("Straße", "straße"),
    ],
)
def test_a_word_is_found_in_either_case(text: str, asked: str) -> None:
    Domain.objects.create(name="one.test", catch_all=text)
    Domain.objects.create(name="two.test", catch_all="arger im buro, 100")

    assert [row.name for row in Domain.objects.filter(catch_all__icontains=asked)] == ["one.test"]


def test_the_admins_search_finds_a_name_in_either_case(administrator: Client) -> None:
    User.objects.create(email="mueller@example.org", name="Änne Müller")
    User.objects.create(email="other@example.org", name="Anne Muller")

    shown = administrator.get("/admin/accounts/user/", {"q": "änne MÜLLER"}).content.decode()

    assert "mueller@example.org" in shown
    assert "other@example.org" not in shown
