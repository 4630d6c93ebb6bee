"""Signing in, in the console: its settings, and taking away what somebody has lost."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminPasswordWidget

from accounts.admin.frame import next_page
from accounts.admin.onerow import OneRowAdmin
from accounts.forms.comparing import Comparing
from accounts.impersonation import actor_of
from accounts.models import Role, SignInSettings, User
from accounts.securing import NotAllowed
from accounts.sign_in import factors
from accounts.sign_in.errors import Refused
from base.sealed import seal


@require_POST
def remove_factors(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove another's second factors, who has lost them."""
    user = get_object_or_404(User.objects.select_related("domain"), pk=pk)
    try:
        messages.success(request, factors.remove_all(actor_of(request), user))
    except (Refused, NotAllowed) as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(next_page(request, reverse("admin:accounts_user_contain", args=[pk])))


class RolesField(forms.MultipleChoiceField):
    """Roles that are ticked, and stored as a text."""

    def prepare_value(self, value: Any) -> Any:
        return value.replace(",", " ").split() if isinstance(value, str) else value

    def clean(self, value: Any) -> Any:
        return ", ".join(super().clean(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), self.prepare_value(data))


class SignInForm(Comparing):
    """The row; roles are ticked, and the secret is typed anew or left as it is."""

    second_factor_roles = RolesField(
        label=_lazy("Second factor required for"),
        choices=Role.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_lazy("Who has none is led to set one up, and can do nothing else until then."),
    )
    secret = forms.CharField(
        label=_lazy("Client secret"),
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_lazy("Sealed; leave empty to keep the one there is."),
    )

    class Meta:
        model = SignInSettings
        exclude = ()

    def clean(self) -> dict[str, Any] | None:
        if secret := self.cleaned_data.get("secret"):
            self.instance.sealed_oidc_secret = seal(secret)
        return super().clean()


@admin.register(SignInSettings)
class SignInSettingsAdmin(OneRowAdmin):
    """The one row. Its list is the form itself."""

    form = SignInForm
