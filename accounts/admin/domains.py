"""Domains in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.forms.models import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _lazy
from unfold.admin import StackedInline
from unfold.decorators import action, display

from accounts import actions, changes
from accounts.actor import Actor
from accounts.admin.bulk import bulk
from accounts.admin.menus import WithMenus
from accounts.connections.registry import end_quietly
from accounts.fields import DOMAIN
from accounts.forms.comparing import Comparing
from accounts.impersonation import actor_of
from accounts.models import Domain, DomainDefaults, DomainUserDefaults, Status, User
from accounts.securing import DISABLE, ENABLE, LET_RECEIVE_ONLY, record_status

STATUS_COLOURS = {Status.ENABLED: "success", Status.DISABLED: "danger", Status.RECEIVING: "warning"}


class UserDefaultsInline(StackedInline):
    """What new users of the domain start with; its administrators may say so themselves in the user site."""

    model = DomainUserDefaults
    form = Comparing
    extra = 0
    max_num = 1
    verbose_name = _lazy("defaults")
    verbose_name_plural = _lazy("Defaults for new users of this domain, instead of the server's user defaults")


@admin.register(Domain)
class DomainAdmin(WithMenus):
    list_display = ["name", "shown_status", "catch_all", "user_count", "description"]
    list_filter = ["status"]
    search_fields = ["name", "description"]
    list_per_page = 50
    show_full_result_count = False
    actions = bulk("domain", (ENABLE, DISABLE, LET_RECEIVE_ONLY))
    menu_kind = "domain"
    actions_list = ["defaults"]
    inlines = [UserDefaultsInline]
    fieldsets = DOMAIN.fieldsets
    empty_title = _lazy("No domains yet")
    empty_text = _lazy("A domain whose mail is delivered here appears in this list. Add one, then its users.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Domain]:
        users = User.objects.filter(domain=OuterRef("pk")).order_by().values("domain")
        total = Coalesce(Subquery(users.annotate(total=Count("pk")).values("total")), 0)
        return super().get_queryset(request).annotate(user_total=total)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        start = model_to_dict(DomainDefaults.load(), exclude=["id"])
        return {**start, **super().get_changeform_initial_data(request)}

    @display(description=_lazy("Status"), ordering="status", label=STATUS_COLOURS)
    def shown_status(self, domain: Domain) -> tuple[str, str]:
        return domain.status, domain.get_status_display()

    @admin.display(description=_lazy("Users"), ordering="user_total")
    def user_count(self, domain: Domain) -> str:
        url = reverse("admin:accounts_user_changelist")
        total: int = domain.user_total  # type: ignore[attr-defined]
        return format_html('<a href="{}?domain__id__exact={}">{}</a>', url, domain.pk, total)

    @action(description=_lazy("Defaults for new domains"), icon="settings_suggest", url_path="defaults")
    def defaults(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:accounts_domaindefaults_change", DomainDefaults.load().pk)

    def store(self, actor: Actor, row: Domain, form: Any) -> None:
        actions.save(row, actor=actor)

    def save_model(self, request: HttpRequest, obj: Domain, form: Any, change: bool) -> None:
        before = Domain.objects.filter(pk=obj.pk).values_list("status", flat=True).first() if change else None
        super().save_model(request, obj, form, change)
        if before is not None and before != obj.status:
            record_status(actor_of(request), obj, Status(before), Status(obj.status))
            if obj.status != Status.ENABLED:
                transaction.on_commit(lambda: self._end_connections(request, obj.name))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        domain = form.instance
        before = changes.stored(DomainUserDefaults(domain=domain))
        super().save_formset(request, form, formset, change)
        changes.record(actor_of(request), before, DomainUserDefaults.of(domain))

    def record_rows(self, actor: Actor, row: Domain, formset: Any) -> None:
        """They are written down as defaults."""

    def delete_model(self, request: HttpRequest, obj: Domain) -> None:
        actions.delete(obj, actor=actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        with transaction.atomic():
            for domain in queryset:
                actions.delete(domain, actor=actor_of(request))

    def _end_connections(self, request: HttpRequest, name: str) -> None:
        dropped = end_quietly(domain=name)
        if dropped.total or dropped.problems:
            self.message_user(request, dropped.sentence, messages.WARNING)
