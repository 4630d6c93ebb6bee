"""What the pages of all lists have in common: changes go through security.actions, in the name of who is there."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import display

from accounts.admin.searching import ModelAdmin
from base.time_elements import relative
from security import actions, hidden
from security.addresses import BadNetwork, parse_address, parse_network, spellings_around
from security.models import Source
from spool.actions import Refused
from spool.console.pages import actor_of

SOURCE_COLOURS = {Source.MANUAL: "info", Source.SPOOL: "warning", Source.LOGINS: "danger"}


class ListForm(forms.ModelForm):
    """A form that knows who is at the keyboard, and where; set by the page."""

    at_ip = ""


class WarnsOfHidden(ModelAdmin):
    """A page about addresses: it says when strangers' addresses are hidden."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and (warning := hidden.warning()):
            self.message_user(request, warning, messages.WARNING)
        answer: HttpResponse = super().changelist_view(request, extra_context)
        return answer


class ListAdmin(ModelAdmin):
    """One of the lists."""

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[ListForm]:
        form: type[ListForm] = super().get_form(request, obj, change, **kwargs)
        form.at_ip = request.META.get("REMOTE_ADDR", "")
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actions.save(actor_of(request), obj)
        self.say_what_was_kept(request, form)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        actions.remove(actor_of(request), self.model.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        actions.remove(actor_of(request), queryset)

    @display(description=_lazy("Added"), ordering="id")
    def shown_added(self, row: Any) -> str:
        if not row.created_by:
            return relative(row.created)
        return format_html(_("{when} by {who}"), when=relative(row.created), who=row.created_by)

    # The letter of the codes in refusals, as B12.
    code_letter = ""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Who was refused names a code: it finds the entry."""
        code = re.fullmatch(rf"{self.code_letter}(\d{{1,18}})", search_term.strip(), re.IGNORECASE | re.ASCII)
        if code is not None and self.code_letter:
            return queryset.filter(pk=int(code[1])), False
        found, may_double = super().get_search_results(request, queryset, search_term)
        return found, may_double


class NetworkAdmin(ListAdmin):
    """A list of networks. Searching for an address finds the networks that it is in."""

    @display(description=_lazy("Protocols"))
    def shown_protocols(self, row: Any) -> str:
        return ", ".join(str(protocol.label) for protocol in row.protocols)

    search_fields = ["network", "description", "created_by"]
    search_help_text = _lazy(
        "An address finds every network that it is in; text is looked for in all columns; the code of a"
        " refusal finds its entry."
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        address = parse_address(search_term.strip())
        if address is not None:
            return queryset.filter(network__in=spellings_around(address)), False
        try:
            network = parse_network(search_term)
        except BadNetwork:
            found, may_double = super().get_search_results(request, queryset, search_term)
            return found, may_double
        around = [name for name in spellings_around(network.network_address) if _prefix(name) <= network.prefixlen]
        return queryset.filter(Q(network__in=around) | Q(network=str(network))), False


def _prefix(name: str) -> int:
    return parse_network(name).prefixlen


def told(request: HttpRequest, admin: ModelAdmin, what: Any) -> bool:
    """Do `what`, a function without arguments; show its sentence, or why not. Whether it was done."""
    try:
        admin.message_user(request, what(), messages.SUCCESS)
    except Refused as error:
        admin.message_user(request, str(error), messages.ERROR)
        return False
    return True
