"""The whitelist in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import display

from base.numbers import grouped
from security import actions
from security.admin.lists import ListForm, NetworkAdmin, WarnsOfHidden, told
from security.models import WhitelistEntry
from spool.console.pages import actor_of


class WhitelistForm(ListForm):
    class Meta:
        model = WhitelistEntry
        fields = ["network", "description", "smtp", "web", "auth_bypass", "spam_bypass", "login_bypass"]
        help_texts = {
            "smtp": _lazy(
                "The blacklist does not touch its connections to the ports for mail, nor do greylisting"
                " and refusals of spam. Those do touch the internal networks that are listed from the start: behind a"
                " NAT or in a container strangers come in from there. Hosts there that are to pass need the spam"
                " bypass, or an entry of their own."
            ),
            "web": _lazy("The blacklist does not keep it from this console and the users' own pages."),
        }


@admin.register(WhitelistEntry)
class WhitelistAdmin(WarnsOfHidden, NetworkAdmin):
    form = WhitelistForm
    list_display = ["network", "shown_protocols", "shown_let_off", "shown_origin", "description", "shown_added"]
    list_filter = ["auth_bypass", "spam_bypass", "login_bypass", "smtp", "web", "is_default"]
    actions = ["take_off"]
    fieldsets = [
        (None, {"fields": ["network", "description"]}),
        (_lazy("Bypass blacklist for"), {"fields": ["smtp", "web"]}),
        (_lazy("Exempt from"), {"fields": ["auth_bypass", "spam_bypass", "login_bypass"]}),
    ]
    empty_title = _lazy("The whitelist is empty")
    empty_text = _lazy("Networks that bypass the blacklist, and the checks they are exempt from.")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not (obj is not None and obj.is_default)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # Django's own would refuse all of a selection for one internal network.
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    @admin.action(description=_lazy("Take off the whitelist"))
    def take_off(self, request: HttpRequest, rows: QuerySet[WhitelistEntry]) -> None:
        if rows.filter(is_default=True).exists():
            self.message_user(
                request, _("The internal networks were left: they may be changed, not removed."), messages.WARNING
            )
        wanted = rows.filter(is_default=False)
        told(
            request,
            self,
            lambda: _("%(remove)s taken off.") % {"remove": grouped(actions.remove(actor_of(request), wanted))},
        )

    def save_model(self, request: HttpRequest, obj: WhitelistEntry, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if obj.auth_bypass and obj.as_network.num_addresses > 1:
            self.message_user(
                request,
                (_("Every host in %(obj)s may send anywhere without logging in from now on.") % {"obj": obj}),
                messages.WARNING,
            )

    @display(description=_lazy("Exempt from"))
    def shown_let_off(self, row: WhitelistEntry) -> str:
        flags = (
            ("auth_bypass", _("SMTP login")),
            ("spam_bypass", _("spam checks")),
            ("login_bypass", _("login protection")),
        )
        return ", ".join(str(label) for flag, label in flags if getattr(row, flag))

    @display(description=_lazy("Origin"), ordering="is_default", label={True: "info", False: "success"})
    def shown_origin(self, row: WhitelistEntry) -> tuple[bool, str]:
        return row.is_default, _("Internal") if row.is_default else _("Added")
