"""Mailing lists and their members in the console, also those with many thousands."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts import actions, changes, directory, edits
from accounts.actions import SWITCH_OFF, SWITCH_ON
from accounts.actor import Actor
from accounts.admin.bulk import bulk
from accounts.admin.menus import WithMenus
from accounts.admin.searching import ModelAdmin
from accounts.fields import LIST
from accounts.forms.accounts import ListFields, members_input
from accounts.forms.placed import AddressForm
from accounts.impersonation import actor_of
from accounts.models import ListMember, MailingList


class MailingListForm(ListFields):
    """A list; a box takes many new members at once."""

    new_members = members_input(UnfoldAdminTextareaWidget(attrs={"rows": 6}))

    class Meta:
        model = MailingList
        fields = LIST.inputs


class ListMemberInline(TabularInline):
    """A page of the members at a time."""

    model = ListMember
    form = AddressForm
    fields = ["address", "enabled"]
    extra = 0
    per_page = 50
    hide_title = True
    ordering = ["address"]
    verbose_name_plural = _lazy("members")


@admin.register(MailingList)
class MailingListAdmin(WithMenus):
    actions = bulk("list", (SWITCH_ON, SWITCH_OFF))
    menu_kind = "list"
    form = MailingListForm
    fieldsets = LIST.fieldsets
    list_display = ["address", "member_count", "owner", "posting", "enabled", "description"]
    list_filter = ["enabled", "posting"]
    list_select_related = ["owner"]
    search_fields = ["address", "description"]
    autocomplete_fields = ["owner"]
    list_per_page = 50
    show_full_result_count = False
    inlines = [ListMemberInline]
    actions_detail = ["find_members"]
    empty_title = _lazy("No mailing lists yet")
    empty_text = _lazy("What is written to a list goes to each of its members; what comes back goes to its owner.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[MailingList]:
        members = ListMember.objects.filter(mailing_list=OuterRef("pk")).order_by().values("mailing_list")
        total = Coalesce(Subquery(members.annotate(total=Count("pk")).values("total")), 0)
        return super().get_queryset(request).annotate(member_total=total)

    def store(self, actor: Actor, row: MailingList, form: Any) -> None:
        actions.save(row, actor=actor)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        wanted = form.cleaned_data["new_members"]
        if wanted:
            added = actions.add_members(form.instance, wanted, actor=actor_of(request))
            self.message_user(
                request,
                (_("%(added)s new members; %(number)s were on it.") % {"added": added, "number": len(wanted) - added}),
                messages.SUCCESS,
            )
        directory.changed()

    @admin.display(description=_lazy("Members"), ordering="member_total")
    def member_count(self, row: MailingList) -> str:
        total: int = row.member_total  # type: ignore[attr-defined]
        return format_html('<a href="{}">{}</a>', _members_url(row.pk), total)

    @action(description=_lazy("Find or remove members"), icon="person_search", url_path="members")
    def find_members(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return redirect(_members_url(object_id))


@admin.register(ListMember)
class ListMemberAdmin(ModelAdmin):
    """Reached from a list: to find some among thousands, and remove them. They are added on the list's page."""

    list_display = ["address", "mailing_list", "enabled", "added"]
    list_display_links = None
    list_editable = ["enabled"]
    list_filter = [("mailing_list", AutocompleteSelectFilter), "enabled"]
    list_filter_submit = True
    list_select_related = ["mailing_list"]
    search_fields = ["address"]
    list_per_page = 50
    show_full_result_count = False
    ordering = ["address"]
    empty_title = _lazy("Nobody is on it yet")
    empty_text = _lazy("Members are added on the page of their mailing list, many at a time.")

    def store(self, actor: Actor, row: ListMember, form: Any) -> None:
        if edits.save(row):
            what = {"member": {"address": str(row), "enabled": row.enabled}}
            changes.write(actor, "change list", row.mailing_list, what)

    def delete_model(self, request: HttpRequest, obj: ListMember) -> None:
        actions.remove_members(obj.mailing_list, [obj.address], actor=actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ListMember]) -> None:
        of_lists: dict[MailingList, list[str]] = {}
        for member in queryset.select_related("mailing_list"):
            of_lists.setdefault(member.mailing_list, []).append(member.address)
        with transaction.atomic():
            for mailing_list, addresses in of_lists.items():
                actions.remove_members(mailing_list, addresses, actor=actor_of(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        # Not a page of its own on the index.
        return {}


def _members_url(list_id: int) -> str:
    return f"{reverse('admin:accounts_listmember_changelist')}?mailing_list__id__exact={list_id}"
