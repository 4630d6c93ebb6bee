"""A column with the menu of each row: the one that its account or address has wherever it is named."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import display

from accounts.admin.searching import ModelAdmin
from accounts.templatetags.reach import opens

BUTTON = (
    '<button type="button" class="ms ms-button bare" id="menu-{}" data-menu="{}?{}" aria-haspopup="menu"'
    ' aria-label="{}"><span class="material-symbols-outlined ms-icon" aria-hidden="true">more_horiz</span>'
    "</button>"
)


class WithMenus(ModelAdmin):
    """Its rows are things of `menu_kind` (base.actions.registry), named by what they are called."""

    menu_kind = ""
    list_after_template = "accounts/_menus.html"

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = super().get_list_display(request)
        return [*columns, "shown_menu"] if opens(request, "thing_menu") else [*columns]

    @display(description=_lazy("Actions"))
    def shown_menu(self, row: Model) -> SafeString:
        url = reverse("thing_menu", args=[self.menu_kind])
        return format_html(BUTTON, row.pk, url, urlencode({"key": str(row)}), _("Actions on %(row)s") % {"row": row})
