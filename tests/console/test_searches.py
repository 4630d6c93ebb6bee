"""The search boxes of the console's lists: whatever is typed or pasted there, the list comes."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

pytestmark = [pytest.mark.both, pytest.mark.django_db, pytest.mark.usefixtures("redis", "home")]
HOSTILE = (
    " ".join(f"{number:x}" for number in range(1_200)),
    '"' + "'%_\\ " * 300 + "x" * 2_000,
)


def test_any_text_is_searched_for(administrator: Client) -> None:
    # The pages are read with the first request.
    administrator.get(reverse("admin:index"))
    searched = [model._meta for model, one in admin.site._registry.items() if one.search_fields]
    assert {"user", "route", "trustedsender", "blacklistentry"} <= {meta.model_name for meta in searched}
    for meta in searched:
        place = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        for text in HOSTILE:
            answer = administrator.get(place, {"q": text}, follow=True)
            assert answer.status_code == 200, (meta.label, text[:20])


def test_what_is_too_long_is_said(administrator: Client) -> None:
    page = administrator.get(reverse("admin:accounts_user_changelist"), {"q": HOSTILE[0]})
    assert "only its first 20 words were looked for" in page.text
