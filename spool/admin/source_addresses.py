"""Source addresses in the console, each with how it is doing."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext
from unfold.decorators import display

from accounts.actor import Actor
from accounts.admin.searching import ModelAdmin
from accounts.impersonation import actor_of
from base.numbers import grouped
from base.time_elements import relative
from spool.actions import source_addresses
from spool.actions.source_addresses import SourceState
from spool.models.dns import RecordState
from spool.models.source_address import SourceAddress

_MOST_SITES = 5


class SourceAddressForm(forms.ModelForm):
    class Meta:
        model = SourceAddress
        fields = [
            "address",
            "ehlo_name",
            "enabled",
            "weight",
            "senders",
            "description",
            "warm_up_since",
            "warm_up_first",
            "warm_up_growth",
            "warm_up_days",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["senders"].widget.attrs["rows"] = 4


@admin.register(SourceAddress)
class SourceAddressAdmin(ModelAdmin):
    form = SourceAddressForm
    list_display = [
        "address",
        "ehlo_name",
        "weight",
        "shown_senders",
        "shown_state",
        "shown_ptr",
        "shown_refused",
        "shown_warm_up",
    ]
    list_filter = ["enabled"]
    fieldsets = (
        (None, {"fields": ("address", "ehlo_name", "enabled", "weight", "senders", "description")}),
        (
            _lazy("Warm-up"),
            {
                "fields": ("warm_up_since", "warm_up_first", "warm_up_growth", "warm_up_days"),
                "description": _lazy(
                    "Receivers distrust an address of which they have seen no mail, and even more one that"
                    " begins with much."
                ),
            },
        ),
    )
    search_fields = ["address", "ehlo_name", "senders", "description"]
    empty_title = _lazy("No source addresses yet")
    empty_text = _lazy(
        "Mail leaves from the source IP address in Settings, or the one that the system chooses. With several here it"
        " is shared among them, by sender or by weight; when one is gone or refused, the others take over."
    )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With how each of the rows of the page is doing: four queries for all of them."""
        changelist = super().get_changelist_instance(request)
        states = source_addresses.states_of(list(changelist.result_list))
        for row in changelist.result_list:
            row.state = states[row.address]
        return changelist

    def store(self, actor: Actor, row: SourceAddress, form: Any) -> None:
        source_addresses.save(actor, row)

    def delete_model(self, request: HttpRequest, obj: SourceAddress) -> None:
        source_addresses.remove(actor_of(request), obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SourceAddress]) -> None:
        for row in queryset:
            source_addresses.remove(actor_of(request), row)

    @display(description=_lazy("For"))
    def shown_senders(self, row: SourceAddress) -> str:
        names = row.senders.split()
        return (
            ", ".join(names[:3]) + ((_(" and %(number)s more") % {"number": len(names) - 3}) if len(names) > 3 else "")
            if names
            else "anybody"
        )

    @display(description=_lazy("State"), label={"works": "success", "trouble": "danger", "off": "info"})
    def shown_state(self, row: Any) -> tuple[str, str]:
        state: SourceState = row.state
        if not row.enabled:
            return "off", _("Off")
        if row.missing_since is not None:
            return "trouble", (_("Not on %(missing_where)s") % {"missing_where": row.missing_where})
        if state.listed:
            return "trouble", ngettext("On %(number)s block list", "On %(number)s block lists", len(state.listed)) % {
                "number": len(state.listed)
            }
        return "works", _("Works")

    @display(description=_lazy("Reverse name"), label={"right": "success", "wrong": "danger", "": "info"})
    def shown_ptr(self, row: Any) -> tuple[str, str]:
        state: SourceState = row.state
        if not state.ptr:
            return "", _("Not looked at yet")
        bad = state.ptr in (RecordState.WRONG, RecordState.MISSING)
        return "wrong" if bad else "right" if state.ptr == RecordState.RIGHT else "", str(state.ptr)

    @display(description=_lazy("Warm-up"))
    def shown_warm_up(self, row: Any) -> str:
        state: SourceState = row.state
        return state.warm_up or "–"

    @display(description=_lazy("Refused by"))
    def shown_refused(self, row: Any) -> str:
        state: SourceState = row.state
        if not state.refused_by:
            return _("nobody")
        page = reverse("destination")
        some = format_html_join(
            ", ",
            '<a href="{}?{}">{}</a>, {}',
            (
                (
                    page,
                    urlencode({"key": f"{site} from {row.address}"}),
                    site.partition(" ")[0],
                    format_html(_("again {moment}"), moment=relative(until)),
                )
                for site, until in state.refused_by[:_MOST_SITES]
            ),
        )
        more = len(state.refused_by) - _MOST_SITES
        if more <= 0:
            return format_html("<span>{}</span>", some)
        return format_html("<span>{}</span>", format_html(_("{some} and {more} more"), some=some, more=grouped(more)))
