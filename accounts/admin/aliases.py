"""Aliases in the console."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts import actions
from accounts.actions import SWITCH_OFF, SWITCH_ON
from accounts.actor import Actor
from accounts.admin.bulk import bulk
from accounts.admin.menus import WithMenus
from accounts.fields import ALIAS
from accounts.forms.accounts import AliasFields, targets_input
from accounts.models import Alias

MOST_SHOWN = 3


class AliasForm(AliasFields):
    """An alias and whom it stands for."""

    targets = targets_input(UnfoldAdminTextareaWidget(attrs={"rows": 6}))

    class Meta:
        model = Alias
        fields = ALIAS.inputs


@admin.register(Alias)
class AliasAdmin(WithMenus):
    actions = bulk("alias", (SWITCH_ON, SWITCH_OFF))
    menu_kind = "alias"
    form = AliasForm
    fieldsets = ALIAS.fieldsets
    list_display = ["address", "stands_for", "enabled", "description"]
    list_filter = ["enabled"]
    search_fields = ["address", "targets__address"]
    list_per_page = 50
    show_full_result_count = False
    empty_title = _lazy("No aliases yet")
    empty_text = _lazy("An alias is another address for one or more people, such as sales@ for two colleagues.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alias]:
        return super().get_queryset(request).prefetch_related("targets")

    def store(self, actor: Actor, row: Alias, form: AliasForm) -> None:
        actions.save(row, actor=actor, targets=form.cleaned_data["targets"])

    @admin.display(description=_lazy("Delivers to"))
    def stands_for(self, alias: Alias) -> str:
        targets = [target.address for target in alias.targets.all()]
        more = (_(" and %(number)s more") % {"number": len(targets) - MOST_SHOWN}) if len(targets) > MOST_SHOWN else ""
        return ", ".join(targets[:MOST_SHOWN]) + more
