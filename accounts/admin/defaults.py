"""What new domains and users start with, and the page that gives it to those that are there."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action

from accounts.admin.placed import BOUNCE_FIELDS, HOURLY_FIELDS
from accounts.admin.propagating import PropagateView
from accounts.models import DomainDefaults, UserDefaults


class OneRowAdmin(ModelAdmin):
    """A page for the single row of a model: its list is the form itself."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        self.model.current()
        return super().get_queryset(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return redirect(self._own_url())

    def response_post_save_change(self, request: HttpRequest, obj: object) -> HttpResponse:
        return redirect(self._own_url())

    def _own_url(self) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[self.model.current().pk])


class DefaultsAdmin(OneRowAdmin):
    """The row, and a way to propagate it."""

    actions_detail = ["propagate"]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(PropagateView.as_view(model_admin=self))
        return [path("propagate/", view, name=f"accounts_{self.opts.model_name}_propagate"), *super().get_urls()]

    @action(description="Propagate…", icon="account_tree", url_path="to-propagate")
    def propagate(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return redirect(f"admin:accounts_{self.opts.model_name}_propagate")


@admin.register(DomainDefaults)
class DomainDefaultsAdmin(DefaultsAdmin):
    fieldsets = [(
        "What a new domain starts with",
        {
            "fields": ["max_users", "max_message_kb", "max_recipients", *HOURLY_FIELDS, *BOUNCE_FIELDS],
            "description": "Domains that are there keep what they have, until it is propagated to them.",
        },
    )]  # fmt: skip


@admin.register(UserDefaults)
class UserDefaultsAdmin(DefaultsAdmin):
    fieldsets = [(
        "What a new user starts with",
        {
            "fields": ["mailbox_mb", "max_message_kb", "max_recipients", *HOURLY_FIELDS],
            "description": "Users that are there keep what they have, until it is propagated to them.",
        },
    )]  # fmt: skip
