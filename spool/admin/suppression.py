"""Suppressed addresses in the console: for which domain, since when, why, until when."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import display

from accounts.admin.bulk import bulk
from accounts.admin.menus import WithMenus
from spool.actions.suppression import UNSUPPRESS
from spool.admin.readonly import ReadOnlyAdmin
from spool.models.suppression import Suppression


@admin.register(Suppression)
class SuppressionAdmin(WithMenus, ReadOnlyAdmin):
    """Rows come by bounces and reports, or from the menu of a domain; they go by their own menu, or many at once."""

    menu_kind = "suppressed"
    actions = bulk("suppressed", (UNSUPPRESS,))
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
        return row.expires or "never"
