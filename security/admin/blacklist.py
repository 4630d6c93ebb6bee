"""The blacklist in the console."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import action, display

from base.numbers import grouped
from security import actions
from security.actions.rows import let_in_anyway
from security.addresses import parse_address
from security.admin.importing import ImportView
from security.admin.lists import SOURCE_COLOURS, ListForm, NetworkAdmin, WarnsOfHidden, told
from security.models import BlacklistEntry
from security.shell import time_left
from spool.console.pages import actor_of


class BlacklistForm(ListForm):
    """An entry that keeps out somebody, and not whoever writes it."""

    class Meta:
        model = BlacklistEntry
        fields = ["network", "smtp", "web", "description", "expires_at"]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        if let_in := let_in_anyway(self.instance):
            self.add_error("network", let_in)
            return
        here = parse_address(self.at_ip)
        if self.instance.web and here is not None and here in self.instance.as_network:
            self.add_error(
                "web",
                (_("You are at %(here)s yourself: you would lock yourself out of this console.") % {"here": here}),
            )


class ExpiredFilter(admin.SimpleListFilter):
    title = _lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("good", _("Never expires")), ("time", _("Active, expires")), ("expired", _("Expired"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        conditions = {
            "good": Q(expires_at__isnull=True),
            "time": Q(expires_at__gt=now),
            "expired": Q(expires_at__lte=now),
        }
        chosen = conditions.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


@admin.register(BlacklistEntry)
class BlacklistAdmin(WarnsOfHidden, NetworkAdmin):
    form = BlacklistForm
    code_letter = "B"
    list_display = ["network", "shown_protocols", "shown_source", "shown_left", "description", "shown_added"]
    list_filter = ["source", ExpiredFilter, "smtp", "web"]
    actions = ["for_a_day", "for_good"]
    actions_list = ["many"]
    fieldsets = [
        (None, {"fields": ["network", "description", "expires_at"]}),
        (_lazy("Block"), {"fields": ["smtp", "web"]}),
    ]
    empty_title = _lazy("The blacklist is empty")
    empty_text = _lazy(
        "Addresses and networks whose connections are refused. They are added here, or from the Overview, where they"
        " are marked as coming from the spool."
    )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(ImportView.as_view(model_admin=self))
        return [path("import/", view, name="security_blacklistentry_import"), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: BlacklistEntry, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if obj.warning:
            self.message_user(request, obj.warning, messages.WARNING)

    @display(description=_lazy("Source"), ordering="source", label=SOURCE_COLOURS)
    def shown_source(self, row: BlacklistEntry) -> tuple[str, str]:
        return row.source, row.get_source_display()

    @display(description=_lazy("Time left"), ordering="expires_at")
    def shown_left(self, row: BlacklistEntry) -> str:
        return time_left(row.expires_at)

    @action(description=_lazy("Add many"), icon="playlist_add", url_path="many")
    def many(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:security_blacklistentry_import")

    @admin.action(description=_lazy("Block for 24 more hours"))
    def for_a_day(self, request: HttpRequest, rows: QuerySet[BlacklistEntry]) -> None:
        until = timezone.now() + timedelta(days=1)
        told(
            request,
            self,
            lambda: (
                _("%(set_expiry)s expire in 24 hours.")
                % {"set_expiry": grouped(actions.set_expiry(actor_of(request), rows, until))}
            ),
        )

    @admin.action(description=_lazy("Block permanently"))
    def for_good(self, request: HttpRequest, rows: QuerySet[BlacklistEntry]) -> None:
        told(
            request,
            self,
            lambda: (
                _("%(set_expiry)s blocked permanently.")
                % {"set_expiry": grouped(actions.set_expiry(actor_of(request), rows, None))}
            ),
        )
