"""The base of all list pages: a search there has a bounded number of words, each of which is a condition per column."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import smart_split
from unfold import admin

MOST_WORDS: Final = 20
_LONGEST: Final = 1_000


class ModelAdmin(admin.ModelAdmin):
    """Unfold's, whose search a database can always answer."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet[Any], bool]:  # fmt: skip
        words = list(smart_split(search_term[:_LONGEST]))
        if len(words) > MOST_WORDS or len(search_term) > _LONGEST:
            messages.warning(request, f"The search is too long: only its first {MOST_WORDS} words were looked for.")
        found: tuple[QuerySet[Any], bool] = super().get_search_results(
            request, queryset, " ".join(words[:MOST_WORDS])
        )  # fmt: skip
        return found
