"""Users in the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.forms.models import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminPasswordToggleWidget

from accounts import actions, login_history
from accounts.actor import Actor
from accounts.admin import connections, containing, sign_in
from accounts.admin.bulk import bulk
from accounts.admin.domains import STATUS_COLOURS
from accounts.admin.menus import WithMenus
from accounts.connections.registry import end_quietly
from accounts.fields import USER
from accounts.forms.accounts import UserFields, password_input
from accounts.impersonation import actor_of
from accounts.models import Role, Status, User, UserDefaults
from accounts.securing import DISABLE, ENABLE, LET_RECEIVE_ONLY, record_password
from accounts.sign_in import app_passwords
from accounts.sign_in.session import recent_enough
from base.actions.action import SingleAction
from base.time_elements import relative


class UserForm(UserFields):
    """A user, with a new password where one is typed."""

    new_password = password_input(UnfoldAdminPasswordToggleWidget(attrs={"autocomplete": "new-password"}))
    is_agreed = forms.BooleanField(
        label=_lazy("Yes, make this a system administrator"),
        required=False,
        help_text=_lazy("A system administrator reads all mail and changes everything on this server."),
    )
    # Who is at the keyboard; set by the page.
    administrator: User | None = None
    # Whether that was proved lately, and the page that asks for it; set by the page.
    is_proved = True
    proving = ""

    class Meta:
        model = User
        fields = USER.inputs

    def clean_new_password(self) -> str:
        password = super().clean_new_password()
        if password and self.instance.pk is not None and not self.is_proved:
            raise forms.ValidationError(_("Use Change password above: it asks first whether it is still you."))
        return password

    def clean(self) -> dict[str, Any] | None:
        was = Role.USER if self.instance._state.adding else self.instance.role
        cleaned = super().clean()
        role = self.cleaned_data.get("role", was)
        if role != was and not self.is_proved:
            said = _('First <a href="{link}">prove that it is still you</a>, then change the role.')
            self.add_error("role", format_html(said, link=self.proving))
        if role == Role.SYSTEM_ADMINISTRATOR != was and not self.cleaned_data.get("is_agreed"):
            self.add_error(
                "is_agreed", _("Tick this to agree: a system administrator reads all mail, and changes everything.")
            )
        if self.administrator is not None and self.instance.pk == self.administrator.pk:
            if self.cleaned_data.get("role", Role.SYSTEM_ADMINISTRATOR) != Role.SYSTEM_ADMINISTRATOR:
                self.add_error("role", _("You can't take the administrator's role from yourself; ask another one."))
            if self.cleaned_data.get("status", Status.ENABLED) != Status.ENABLED:
                self.add_error("status", _("You can't lock yourself out; ask another administrator."))
        return cleaned


def _with_agreement(fieldsets: Sequence[Any]) -> list[tuple[Any, dict[str, Any]]]:
    """The question whether somebody is to be a system administrator, behind the role."""

    def asked(fields: Sequence[Any]) -> list[Any]:
        return [one for name in fields for one in ((name, "is_agreed") if name == "role" else (name,))]

    return [(title, {**options, "fields": asked(options["fields"])}) for title, options in fieldsets]


def _without_oneself(request: HttpRequest, action: SingleAction[Any], rows: QuerySet[User]) -> QuerySet[User]:
    own = request.user.pk or 0
    if action is not ENABLE and rows.filter(pk=own).exists():
        messages.warning(request, "You were left out: nobody can lock themselves out.")
        rows = rows.exclude(pk=own)
    return rows.select_related("domain")


@admin.register(User)
class UserAdmin(WithMenus):
    form = UserForm
    list_display = ["email", "name", "shown_role", "shown_status", "shown_login"]
    list_filter = ["status", "role", ("domain", AutocompleteSelectFilter)]
    list_filter_submit = True
    search_fields = ["email", "name"]
    list_per_page = 50
    show_full_result_count = False
    actions = bulk("user", (ENABLE, DISABLE, LET_RECEIVE_ONLY), _without_oneself)
    actions_list = ["defaults"]
    menu_kind = "user"
    conditional_fields = {"is_agreed": "role == 'admin'"}
    fieldsets = _with_agreement(USER.fieldsets)
    empty_title = _lazy("No users yet")
    empty_text = _lazy(
        "People with a mailbox, and those who administer this server, appear here. Add a domain first, then them."
    )

    change_form_outer_before_template = "accounts/user_controls.html"

    def get_urls(self) -> list[URLPattern]:
        views: list[tuple[str, Any, str]] = [
            ("connections/", connections.shown, "connections"),
            ("connections/drop/", connections.drop, "drop_connections"),
            ("<int:pk>/contain/", containing.account, "contain"),
            ("<int:pk>/password/", containing.password, "password"),
            ("<int:pk>/status/", containing.status, "status"),
            ("<int:pk>/factors/remove/", sign_in.remove_factors, "remove_factors"),
        ]
        own = [
            path(route, self.admin_site.admin_view(view), name=f"accounts_user_{name}") for route, view, name in views
        ]
        return [*own, *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """For who only looks, without what is there to be typed."""
        if self.has_change_permission(request, obj) or (obj is None and self.has_add_permission(request)):
            return super().get_fieldsets(request, obj)
        typed = ("new_password", "is_agreed")
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name not in typed]})
            for title, options in USER.fieldsets
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[UserForm]:
        form: type[UserForm] = super().get_form(request, obj, change, **kwargs)
        form.administrator = request.user if isinstance(request.user, User) else None
        form.is_proved = recent_enough(request)
        form.proving = f"{reverse('portal:confirm')}?{urlencode({'next': request.get_full_path()})}"
        return form

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        start = model_to_dict(UserDefaults.load(), exclude=["id"])
        return {**start, **super().get_changeform_initial_data(request)}

    def store(self, actor: Actor, row: User, form: UserForm) -> None:
        password, is_new = form.cleaned_data["new_password"], row._state.adding
        if password:
            row.set_password(password)
        actions.save(row, actor=actor)
        if password and not is_new:
            record_password(actor, row)
            if not actor.is_person(row):
                app_passwords.end_all(row)

    def save_model(self, request: HttpRequest, obj: User, form: UserForm, change: bool) -> None:
        before = User.objects.filter(pk=obj.pk).values("email", "status").first() if change else None
        super().save_model(request, obj, form, change)
        if before is None:
            return
        is_closed = obj.status not in (before["status"], Status.ENABLED)
        if form.cleaned_data["new_password"] or is_closed:
            # Not before the change is committed: who comes back in between would be let in.
            transaction.on_commit(lambda: self._end_connections(request, {obj.email, before["email"]}))

    def _end_connections(self, request: HttpRequest, addresses: set[str]) -> None:
        own = request.session.session_key or "" if request.user.email in addresses else ""  # type: ignore[union-attr]
        dropped = end_quietly(addresses, keep_session=own)
        if dropped.total or dropped.problems:
            level = messages.WARNING if dropped.problems else messages.SUCCESS
            self.message_user(request, dropped.sentence, level)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        actions.delete(obj, actor=actor_of(request))
        transaction.on_commit(lambda: self._end_connections(request, {obj.email}))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        users = list(queryset)
        with transaction.atomic():
            for user in users:
                actions.delete(user, actor=actor_of(request))
            transaction.on_commit(lambda: self._end_connections(request, {user.email for user in users}))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Nobody removes the branch that they sit on.
        return bool(super().has_delete_permission(request, obj)) and (obj is None or obj.pk != request.user.pk)

    @display(description=_lazy("Role"), ordering="role")
    def shown_role(self, user: User) -> str:
        return user.get_role_display()

    @display(description=_lazy("Status"), ordering="status", label=STATUS_COLOURS)
    def shown_status(self, user: User) -> tuple[str, str]:
        return user.status, user.get_status_display()

    @display(description=_lazy("Last login"), ordering="seen_last")
    def shown_login(self, user: User) -> str:
        found = login_history.last_login(user)
        if found.at is None:
            return "–"
        return format_html("{}, {}", relative(found.at), found.protocol)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return login_history.with_last_logins(super().get_queryset(request))

    @action(
        description=_lazy("Defaults for new users"),
        icon="settings_suggest",
        url_path="defaults",
        permissions=["add"],
    )
    def defaults(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:accounts_userdefaults_change", UserDefaults.load().pk)
