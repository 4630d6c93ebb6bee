"""What new domains and users start with, and the page that gives it to those that are there."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import action

from accounts.admin.onerow import OneRowAdmin
from accounts.admin.propagating import PropagateView
from accounts.fields import DOMAIN_DEFAULTS, USER_DEFAULTS
from accounts.models import DomainDefaults, UserDefaults


class DefaultsAdmin(OneRowAdmin):
    """The row, and a way to propagate it."""

    actions_detail = ["propagate"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        self.model.load()
        return super().get_queryset(request)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(PropagateView.as_view(model_admin=self))
        return [path("propagate/", view, name=f"accounts_{self.opts.model_name}_propagate"), *super().get_urls()]

    @action(description=_lazy("Propagate…"), icon="account_tree", url_path="to-propagate")
    def propagate(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return redirect(f"admin:accounts_{self.opts.model_name}_propagate")


@admin.register(DomainDefaults)
class DomainDefaultsAdmin(DefaultsAdmin):
    fieldsets = DOMAIN_DEFAULTS.fieldsets


@admin.register(UserDefaults)
class UserDefaultsAdmin(DefaultsAdmin):
    fieldsets = USER_DEFAULTS.fieldsets
