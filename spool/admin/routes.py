"""Routes in the console."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.widgets import UnfoldAdminPasswordWidget

from accounts.admin.searching import ModelAdmin
from base.sealed import seal
from spool.models import Route


class RouteForm(forms.ModelForm):
    """A route; its password can be set and removed, not read."""

    password = forms.CharField(
        label=_lazy("Password"),
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_lazy("Leave empty to keep the one there is."),
    )

    class Meta:
        model = Route
        fields = [
            "domain",
            "kind",
            "enabled",
            "host",
            "port",
            "tls",
            "username",
            "password",
            "verify_for_login",
            "source_address",
            "max_connections",
            "description",
        ]

    def save(self, commit: bool = True) -> Route:
        if self.cleaned_data.get("password"):
            self.instance.sealed_password = seal(self.cleaned_data["password"])
        if not self.cleaned_data.get("username"):
            self.instance.sealed_password = ""
        route: Route = super().save(commit)
        return route


@admin.register(Route)
class RouteAdmin(ModelAdmin):
    form = RouteForm
    list_display = ["domain", "kind", "host", "port", "tls", "enabled"]
    list_filter = ["kind", "enabled"]
    search_fields = ["domain", "host"]

    def notes(self, form: RouteForm) -> list[str]:
        return _warnings(form.instance)

    def tell(self, request: HttpRequest, form: RouteForm) -> None:
        # Whoever stays on the page sees it there.
        if "_continue" not in request.POST:
            super().tell(request, form)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        route = options.get("obj")
        if request.method == "GET" and route is not None:
            for warning in _warnings(route):
                self.message_user(request, warning, messages.WARNING)
        return super().render_change_form(request, context, *args, **options)

    empty_title = _lazy("No routes yet")
    empty_text = _lazy(
        "Mail goes to the hosts that DNS names. A route sends a domain's mail, or all that is not local (*), "
        "to a host of your choice: a smart host, or a gateway whose mail this server takes in from anyone."
    )


def _warnings(route: Route) -> list[str]:
    if not route.exposes_password:
        return []
    return [
        _(
            "The password for %(host)s goes to whoever answers in its place: its certificate is not "
            "checked. Turn on “Send the password to a valid certificate only” if the host has one."
        )
        % {"host": route.host}
    ]
