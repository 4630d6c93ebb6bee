"""Words are found whatever the case of their letters, in any alphabet, on both databases."""

from __future__ import annotations

import pytest

from accounts.models import Domain
from accounts.text_search import contains

pytestmark = pytest.mark.django_db


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

    assert [row.name for row in Domain.objects.filter(contains("catch_all", asked))] == ["one.test"]
