"""DKIM keys in the console: how far each has come, and the record that it needs."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import display

from accounts.admin.menus import WithMenus
from spool.admin.readonly import ReadOnlyAdmin
from spool.models.dkim import DkimKey


@admin.register(DkimKey)
class DkimKeyAdmin(WithMenus, ReadOnlyAdmin):
    """Keys are made from the menu of a domain, and change only by what the DNS shows or by their own menu."""

    menu_kind = "dkim"
    list_display = ["domain", "selector", "algorithm", "shown_state", "shown_problem", "checked"]
    list_filter = ["state", "algorithm"]
    search_fields = ["domain", "selector"]
    fields = ["domain", "selector", "algorithm", "shown_state", "shown_name", "shown_record", "shown_problem"]
    readonly_fields = [*fields, "created", "published", "active", "retired", "checked"]
    empty_title = _lazy("No DKIM keys yet")
    empty_text = _lazy(
        "Large receivers reject or junk mail that is not signed. Open the menu of a domain in Domains and choose"
        " Add DKIM Key; this page then shows the DNS record that it needs."
    )

    def get_fields(self, request: HttpRequest, obj: DkimKey | None = None) -> list[str]:
        return [*self.fields, "created", "published", "active", "retired", "checked"]

    @display(description=_lazy("State"), ordering="state")
    def shown_state(self, key: DkimKey) -> str:
        return key.get_state_display()

    @display(description=_lazy("Record"))
    def shown_problem(self, key: DkimKey) -> str:
        """What the DNS shows."""
        if key.checked is None:
            return _("Not looked for yet")
        return key.wrong or _("Found at all name servers")

    @display(description=_lazy("Record name"))
    def shown_name(self, key: DkimKey) -> str:
        return key.name

    @display(description=_lazy("Record value (TXT)"))
    def shown_record(self, key: DkimKey) -> str:
        return key.record
