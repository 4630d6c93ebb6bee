"""The base of all list pages and forms of the console.

A search has a bounded number of words, each of which is a condition per column. A form writes what was changed in it.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.text import smart_split
from unfold import admin

from accounts import edits
from accounts.admin.comparing import Comparing, comparing

MOST_WORDS: Final = 20
_LONGEST: Final = 1_000


class ModelAdmin(admin.ModelAdmin):
    """Unfold's, whose search a database can always answer, and whose forms compare (accounts.admin.comparing)."""

    def __init__(self, model: type[Model], admin_site: AdminSite) -> None:
        super().__init__(model, admin_site)
        self.form: type[ModelForm] = comparing(self.form)

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[ModelForm]:
        """Of a list whose rows are edited in place: what is ticked in a page that was open for long compares too."""
        return super().get_changelist_form(request, **{"form": Comparing, **kwargs})  # type: ignore[no-any-return]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        edits.save(obj)
        self.say_what_was_kept(request, form)

    def say_what_was_kept(self, request: HttpRequest, form: Any) -> None:
        """That others have changed the same row meanwhile, when they have."""
        if kept := getattr(form, "kept", []):
            others = ", ".join(kept)
            messages.info(request, f"Somebody else has changed these meanwhile, and they stay as changed: {others}.")

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
