"""The base of all list pages and forms of the console.

A search has a bounded number of words, each of which is a condition per column. A form writes what was changed in it,
and what was changed is written down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import DateTimeField, Model, QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import capfirst, smart_split
from django.utils.translation import gettext as _
from unfold import admin

from accounts import actions, changes
from accounts.actor import Actor
from accounts.forms.comparing import Comparing, comparing
from accounts.impersonation import actor_of
from accounts.templatetags.reach import opens, sends
from base import row_changes
from base.audit.sentences import few
from base.audit.subjects import subject_of
from base.time_elements import relative

MOST_WORDS: Final = 20
_LONGEST: Final = 1_000


class ModelAdmin(admin.ModelAdmin):
    """Unfold's, whose search a database can always answer, and whose forms compare (accounts.forms.comparing)."""

    def __init__(self, model: type[Model], admin_site: AdminSite) -> None:
        super().__init__(model, admin_site)
        self.form: type[ModelForm] = comparing(self.form)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Its columns; moments are shown as on all pages: how long ago, with the exact time on hover."""
        moments = {field.name for field in self.opts.fields if isinstance(field, DateTimeField)}
        return [_moment_column(self.opts.get_field(name)) if name in moments else name for name in self.list_display]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Its title is what it lists, and no request to choose from it."""
        title = {"title": capfirst(self.opts.verbose_name_plural)}
        return super().changelist_view(request, title | (extra_context or {}))  # type: ignore[no-any-return]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[ModelForm]:
        """Of a list whose rows are edited in place: what is ticked in a page that was open for long compares too."""
        return super().get_changelist_form(request, **{"form": Comparing, **kwargs})  # type: ignore[no-any-return]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return bool(super().has_view_permission(request, obj)) or opens(request, page)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(super().has_module_permission(request)) or self.has_view_permission(request)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Without what leads to the audit, for whom that is closed."""
        if not opens(request, "admin:audit_auditevent_changelist"):
            context["show_history"] = False
        return super().render_change_form(request, context, *args, **kwargs)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """What is done to many rows is for whom the page takes it from."""
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return super().get_actions(request) if sends(request, page) else {}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        self.store(actor_of(request), obj, form)
        self.say_what_was_kept(request, form)
        self.tell(request, form)

    def store(self, actor: Actor, row: Any, form: Any) -> None:
        """Store a row, whose form is valid, and write it down."""
        many = [field.name for field in row._meta.many_to_many]
        form.many_before = row_changes.stored(row, many) if many and not row._state.adding else {}
        changes.save(actor, row)

    def record_many(self, actor: Actor, form: Any) -> None:
        """Write down to which others a stored row leads now, where that differs."""
        if before := getattr(form, "many_before", {}):
            changes.record(actor, before, form.instance)

    def notes(self, form: Any) -> list[str]:
        """What whoever stored a form has to know."""
        return []

    def tell(self, request: HttpRequest, form: Any) -> None:
        for note in self.notes(form):
            messages.warning(request, note)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        self.record_many(actor_of(request), form)
        for formset in formsets:
            self.record_rows(actor_of(request), form.instance, formset)

    def record_rows(self, actor: Actor, row: Any, formset: Any) -> None:
        """Write down what was done to the rows that stand on the page of another."""
        done = {
            "added": formset.new_objects,
            "changed": [one for one, _ in formset.changed_objects],
            "removed": formset.deleted_objects,
        }
        if parts := {what: few(rows, actions.MOST_NAMED) for what, rows in done.items() if rows}:
            of_kind = {"rows": {str(formset.model._meta.verbose_name_plural): parts}}
            changes.write(actor, f"change {changes.kind_of(row)}", row, of_kind)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        changes.remove(actor_of(request), obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset:
                changes.remove(actor_of(request), row)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What the audit has of the row."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404(_("There is no such row any more"))
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        about = subject_of(row)
        name, value = ("row", str(about.row_id)) if about.row_id is not None else ("key", about.key)
        return redirect(
            f"{reverse('admin:audit_auditevent_changelist')}?{urlencode({'kind': about.kind, name: value})}"
        )

    def say_what_was_kept(self, request: HttpRequest, form: Any) -> None:
        """That others have changed the same row meanwhile, when they have."""
        if kept := getattr(form, "kept", []):
            others = ", ".join(kept)
            messages.info(request, f"Somebody else has changed these meanwhile, and they stay as changed: {others}.")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = list(smart_split(search_term[:_LONGEST]))
        if len(words) > MOST_WORDS or len(search_term) > _LONGEST:
            messages.warning(request, f"The search is too long: only its first {MOST_WORDS} words were looked for.")
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, " ".join(words[:MOST_WORDS]))
        return found


def _moment_column(field: Any) -> Callable[[Model], str]:
    def shown(row: Model) -> str:
        return relative(getattr(row, field.name))

    shown.short_description = capfirst(field.verbose_name)  # type: ignore[attr-defined]
    shown.admin_order_field = field.name  # type: ignore[attr-defined]
    shown.__name__ = f"shown_{field.name}"
    return shown
