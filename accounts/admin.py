"""The accounts in the console. System administrators only: `User.is_staff` lets nobody else in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.password_validation import validate_password
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminPasswordWidget

from accounts import directory
from accounts.models import (
    Alias,
    AliasTarget,
    Domain,
    DomainDefaults,
    ListMember,
    MailingList,
    User,
    UserDefaults,
)


@admin.register(Domain)
class DomainAdmin(ModelAdmin):
    list_display = ["name", "status", "catch_all", "user_count"]
    list_filter = ["status"]
    search_fields = ["name", "description"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Domain]:
        return super().get_queryset(request).annotate(user_total=Count("users"))

    @admin.display(description="Users")
    def user_count(self, domain: Domain) -> int:
        return domain.user_total  # type: ignore[attr-defined]


class UserForm(forms.ModelForm):
    """A user, with a new password where one is typed; the stored one is never shown."""

    new_password = forms.CharField(
        label="Password", required=False, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Leave empty to keep the one there is.",
    )  # fmt: skip

    class Meta:
        model = User
        fields = [
            "email", "new_password", "domain", "name", "role", "status", "forward_to", "forward_keeps_copy",
            "mailbox_mb", "max_message_kb", "max_recipients",
        ]  # fmt: skip

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        if not password and self.instance.pk is None:
            raise forms.ValidationError("A new user needs a password.")
        if password:
            validate_password(password, self.instance)
        return password


@admin.register(User)
class UserAdmin(ModelAdmin):
    form = UserForm
    list_display = ["email", "name", "domain", "role", "status", "last_login"]
    list_filter = ["status", "role"]
    list_select_related = ["domain"]
    search_fields = ["email", "name"]
    autocomplete_fields = ["domain"]

    def save_model(self, request: HttpRequest, obj: User, form: UserForm, change: bool) -> None:
        if form.cleaned_data["new_password"]:
            obj.set_password(form.cleaned_data["new_password"])
        super().save_model(request, obj, form, change)


class AliasTargetInline(TabularInline):
    model = AliasTarget
    extra = 1


@admin.register(Alias)
class AliasAdmin(ModelAdmin):
    list_display = ["address", "domain", "enabled"]
    list_select_related = ["domain"]
    search_fields = ["address", "targets__address"]
    autocomplete_fields = ["domain"]
    inlines = [AliasTargetInline]


class ListMemberInline(TabularInline):
    model = ListMember
    extra = 1
    per_page = 50


@admin.register(MailingList)
class MailingListAdmin(ModelAdmin):
    list_display = ["address", "domain", "owner", "posting", "enabled"]
    list_select_related = ["domain", "owner"]
    search_fields = ["address"]
    autocomplete_fields = ["domain", "owner"]
    inlines = [ListMemberInline]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        directory.changed()


class OneRowAdmin(ModelAdmin):
    """A page for the single row of a model: it can be neither added to nor removed."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        self.model.current()
        return super().get_queryset(request)


admin.site.register(DomainDefaults, OneRowAdmin)
admin.site.register(UserDefaults, OneRowAdmin)
