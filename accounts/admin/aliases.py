"""Aliases in the console."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts import actions
from accounts.actor import Actor
from accounts.admin.placed import PlacedForm, addresses_in, targets_of
from accounts.admin.searching import ModelAdmin
from accounts.models import Alias

MOST_SHOWN = 3


class AliasForm(PlacedForm):
    """An alias and whom it stands for, one address per line."""

    targets = forms.CharField(
        label="Stands for",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text="Addresses here or elsewhere, one per line. Those of users here may send as this address.",
    )

    class Meta:
        model = Alias
        fields = ["address", "targets", "enabled", "description"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Before the fields are looked at: they are compared with what is there.
        kwargs["initial"] = {**targets_of(kwargs.get("instance")), **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    def clean_targets(self) -> list[str]:
        return addresses_in(self.cleaned_data["targets"])

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.cleaned_data.get("address") in self.cleaned_data.get("targets", ()):
            self.add_error("targets", f"{self.cleaned_data['address']} can't stand for itself.")
        return cleaned


@admin.register(Alias)
class AliasAdmin(ModelAdmin):
    form = AliasForm
    list_display = ["address", "stands_for", "enabled", "description"]
    list_filter = ["enabled"]
    search_fields = ["address", "targets__address"]
    list_per_page = 50
    show_full_result_count = False
    empty_title = "No aliases yet"
    empty_text = "An alias is another address for one or more people, such as sales@ for two colleagues."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alias]:
        return super().get_queryset(request).prefetch_related("targets")

    def store(self, actor: Actor, row: Alias, form: AliasForm) -> None:
        actions.save(row, actor=actor, targets=form.cleaned_data["targets"])

    @admin.display(description="Stands for")
    def stands_for(self, alias: Alias) -> str:
        targets = [target.address for target in alias.targets.all()]
        more = f" and {len(targets) - MOST_SHOWN} more" if len(targets) > MOST_SHOWN else ""
        return ", ".join(targets[:MOST_SHOWN]) + more
