"""Rules for destinations in the console."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import display

from accounts.actor import Actor
from accounts.admin.searching import ModelAdmin
from accounts.impersonation import actor_of
from base.actions.action import Refused
from base.time_elements import relative
from spool.actions import destination_rules
from spool.models.destination_rule import DestinationRule, RuleScope


class DestinationRuleForm(forms.ModelForm):
    """A rule, whose provider is one that is known."""

    class Meta:
        model = DestinationRule
        fields: ClassVar = [
            "scope",
            "name",
            "enabled",
            "description",
            "retry_intervals_minutes",
            "expire_after_hours",
            "by_error",
            "connections",
            "messages_per_connection",
            "rate_per_minute",
            "tls",
            "source_addresses",
            "suspended_until",
            "suspended_reason",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # That of all is filled in.
        self.fields["name"].required = False
        for name in ("by_error",):
            self.fields[name].widget.attrs["rows"] = 4

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if self.cleaned_data.get("scope") != RuleScope.PROVIDER or not name.strip():
            return name
        try:
            return destination_rules.provider_named(" ".join(name.split()))
        except Refused as error:
            raise forms.ValidationError(str(error)) from error


@admin.register(DestinationRule)
class DestinationRuleAdmin(ModelAdmin):
    form = DestinationRuleForm
    list_display = ["shown_name", "scope", "shown_says", "shown_suspended", "enabled", "by", "changed"]
    list_filter = ["scope", "enabled"]
    search_fields = ["name", "description", "suspended_reason"]
    empty_title = _lazy("No rules yet")
    empty_text = _lazy(
        "All destinations are treated as Settings say, and slowed down by what they answer. A rule chooses otherwise"
        " for a domain, some mail hosts, a provider or all: retries, connections, pace, TLS, source address, or a"
        " suspension."
    )
    fieldsets = (
        (
            None,
            {
                "fields": ("scope", "name", "enabled", "description"),
                "description": _lazy(
                    "The most specific rule that says something holds, field by field: of a domain, then of"
                    " mail hosts, of a provider, of all others; what none says, Settings say. Changes are in force"
                    " within seconds."
                ),
            },
        ),
        (_lazy("Retries"), {"fields": ("retry_intervals_minutes", "expire_after_hours", "by_error")}),
        (_lazy("Pace"), {"fields": ("connections", "messages_per_connection", "rate_per_minute")}),
        (_lazy("Connection"), {"fields": ("tls", "source_addresses")}),
        (_lazy("Suspension"), {"fields": ("suspended_until", "suspended_reason")}),
    )

    def store(self, actor: Actor, row: DestinationRule, form: Any) -> None:
        destination_rules.save(actor, row)

    def delete_model(self, request: HttpRequest, obj: DestinationRule) -> None:
        destination_rules.remove(actor_of(request), obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DestinationRule]) -> None:
        for row in queryset:
            destination_rules.remove(actor_of(request), row)

    @display(description=_lazy("For"), ordering="name")
    def shown_name(self, row: DestinationRule) -> str:
        return row.title

    @display(description=_lazy("Says"))
    def shown_says(self, row: DestinationRule) -> str:
        return "; ".join(row.says) or "nothing"

    @display(description=_lazy("Suspended"), ordering="suspended_until")
    def shown_suspended(self, row: DestinationRule) -> Any:
        return relative(row.suspended_until) if row.suspended_until is not None else "no"
