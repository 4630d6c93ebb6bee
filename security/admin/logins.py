"""Logins that are closed, and the rules that close them, in the console."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import action, display

from accounts.admin.onerow import OneRowAdmin
from base.time_elements import relative
from security import actions
from security.actions.logins import blacklisted, opened
from security.admin.lists import WarnsOfHidden, told
from security.models import BlockReason, LoginBlock, LoginRules, Protocol
from security.shell import time_left
from spool.console.pages import actor_of

REASON_COLOURS = {BlockReason.PAIR: "info", BlockReason.ADDRESS: "warning", BlockReason.ACCOUNT: "danger"}


class InForceFilter(admin.SimpleListFilter):
    """Those in force, unless all are asked for."""

    title = _lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", _("All of the last 30 days")), ("over", _("Over"))]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": _("In force")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        condition = Q(until__lte=timezone.now()) if self.value() == "over" else Q(until__gt=timezone.now())
        return queryset.filter(condition)


@admin.register(LoginBlock)
class LoginBlockAdmin(WarnsOfHidden):
    list_display = ["who", "shown_reason", "shown_left", "failures", "shown_protocol", "times", "shown_since"]
    list_display_links = None
    list_filter = [InForceFilter, "reason", "protocol"]
    list_filter_submit = True
    search_fields = ["ip", "account"]
    list_per_page = 50
    show_full_result_count = False
    actions = ["release", "blacklist_for_a_day", "blacklist", "blacklist_network"]
    actions_list = ["rules"]
    empty_title = _lazy("Nobody is closed out")
    empty_text = _lazy(
        "Who tries too many wrong passwords, by SMTP or here, appears in this list until the login opens again by"
        " itself."
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_lazy("Login"), ordering="account")
    def who(self, row: LoginBlock) -> str:
        return str(row)

    @display(description=_lazy("Closed"), ordering="reason", label=REASON_COLOURS)
    def shown_reason(self, row: LoginBlock) -> tuple[str, str]:
        return row.reason, row.get_reason_display()

    @display(description=_lazy("Time left"), ordering="until")
    def shown_left(self, row: LoginBlock) -> str:
        return time_left(row.until) if row.until > timezone.now() else _("open again")

    @display(description=_lazy("Last tried by"), ordering="protocol")
    def shown_protocol(self, row: LoginBlock) -> str:
        return str(Protocol(row.protocol).label) if row.protocol in Protocol.values else row.protocol

    @display(description=_lazy("Since"), ordering="since")
    def shown_since(self, row: LoginBlock) -> str:
        return relative(row.since)

    @action(description=_lazy("Rules"), icon="tune", url_path="rules")
    def rules(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:security_loginrules_change", LoginRules.load().pk)

    @admin.action(description=_lazy("Release: open the login now"))
    def release(self, request: HttpRequest, rows: QuerySet[LoginBlock]) -> None:
        told(request, self, lambda: opened(actions.release(actor_of(request), rows)))

    @admin.action(description=_lazy("Blacklist the address for 24 hours"))
    def blacklist_for_a_day(self, request: HttpRequest, rows: QuerySet[LoginBlock]) -> None:
        self._blacklist(request, rows, expires_at=timezone.now() + timedelta(days=1))

    @admin.action(description=_lazy("Blacklist the address (never expires)"))
    def blacklist(self, request: HttpRequest, rows: QuerySet[LoginBlock]) -> None:
        self._blacklist(request, rows)

    @admin.action(description=_lazy("Blacklist its network (/24, never expires)"))
    def blacklist_network(self, request: HttpRequest, rows: QuerySet[LoginBlock]) -> None:
        self._blacklist(request, rows, around=24)

    def _blacklist(self, request: HttpRequest, rows: QuerySet[LoginBlock], **how: Any) -> None:
        told(request, self, lambda: blacklisted(actions.blacklist_guessers(actor_of(request), rows, **how)))


@admin.register(LoginRules)
class LoginRulesAdmin(OneRowAdmin):
    """The one row. Its list is the form itself."""

    def save_model(self, request: HttpRequest, obj: LoginRules, form: Any, change: bool) -> None:
        actions.change_rules(actor_of(request), obj)
