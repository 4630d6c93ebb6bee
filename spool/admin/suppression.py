"""Suppressed addresses in the console: for which domain, since when, why, until when."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import action, display

from accounts.admin.bulk import bulk
from accounts.admin.menus import WithMenus
from base.time_elements import relative
from spool.actions.suppression import UNSUPPRESS
from spool.admin.importing_suppression import ImportView
from spool.admin.readonly import ReadOnlyAdmin
from spool.console.suppressed_file import suppressed_file
from spool.models.suppression import Suppression


@admin.register(Suppression)
class SuppressionAdmin(WithMenus, ReadOnlyAdmin):
    """Rows come by bounces and reports, or from the menu of a domain; they go by their own menu, or many at once."""

    menu_kind = "suppressed"
    actions = bulk("suppressed", (UNSUPPRESS,))
    actions_list = ["imported", "exported"]
    list_display = ["address", "domain", "reason", "evidence", "since", "shown_expires"]
    list_filter = ["reason"]
    search_fields = ["address", "domain", "evidence"]
    ordering = ["-id"]
    fields = ["address", "domain", "reason", "evidence", "since", "expires"]
    readonly_fields = fields
    empty_title = _lazy("Nobody is suppressed")
    empty_text = _lazy(
        "Addresses elsewhere to which mail of a domain bounced for good, or whose readers complained, are listed here."
        " The domain's page says what follows; Suppress Addresses in its menu adds more."
    )

    @display(description=_lazy("Expires"), ordering="expires")
    def shown_expires(self, row: Suppression) -> object:
        return relative(row.expires) if row.expires else _("never")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(ImportView.as_view(model_admin=self))
        return [path("import/", view, name="spool_suppression_import"), *super().get_urls()]

    @action(description=_lazy("Import"), icon="upload", url_path="to-import")
    def imported(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:spool_suppression_import")

    @action(description=_lazy("Export as CSV"), icon="download", url_path="export")
    def exported(self, request: HttpRequest) -> StreamingHttpResponse:
        """All lists, as `suppression import` and the page Import take them."""
        return suppressed_file(Suppression.objects.all())
