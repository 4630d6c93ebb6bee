"""Pages of settings that are one row: their list is the form itself."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts.admin.searching import ModelAdmin


class OneRowAdmin(ModelAdmin):
    """The one row, which can be changed, and neither added nor removed. Its sections are those of its model."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sections = getattr(self.model, "sections", ())
        if not sections:
            return super().get_fieldsets(request, obj)
        return [(one.title, {"fields": list(one.fields), "description": one.about}) for one in sections]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(db_field, models.TextField):
            field.widget.attrs["rows"] = 3
        return field

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return redirect(reverse(name, args=[self.model.load().pk]))
