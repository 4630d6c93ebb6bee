"""The page Antispam with its checks, and the senders that are trusted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.widgets import UnfoldAdminPasswordWidget

from accounts.admin.searching import ModelAdmin
from base.sealed import seal
from quarantine.admin.tested import TestedAdmin
from quarantine.checks import GREYLISTED
from quarantine.greylisting import standing
from quarantine.models import AntispamSettings, Check, TrustedSender
from quarantine.spam.in_session import REFUSED
from quarantine.statistics import health_of
from security import hidden


@admin.register(AntispamSettings)
class AntispamSettingsAdmin(TestedAdmin):
    looks_for = "spam"

    def about(self) -> dict[str, Any]:
        settings = AntispamSettings.load()
        refused, greylisted = health_of([REFUSED, GREYLISTED])
        return {
            "settings": settings,
            "standing": standing(settings),
            "refused": refused,
            "greylisted": greylisted,
            "hidden": hidden.warning(),
        }

    def engines(self) -> list[str]:
        return list(Check.objects.values_list("name", flat=True))


class CheckForm(forms.ModelForm):
    """A check; the password of its controller can be set and removed, not read."""

    password = forms.CharField(
        label=_lazy("Controller password"),
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_lazy("Leave empty to keep the current one. Removed when training is off."),
    )

    class Meta:
        model = Check
        fields = [
            "name",
            "kind",
            "weight",
            "inbound",
            "outbound",
            "where",
            "pattern",
            "timeout_seconds",
            "parallel",
            "learns",
            "learn_where",
            "password",
        ]

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not password.isprintable():
            raise forms.ValidationError(_("The password contains characters that can't be sent."))
        return password

    def save(self, commit: bool = True) -> Check:
        if self.cleaned_data.get("password"):
            self.instance.sealed_password = seal(self.cleaned_data["password"])
        if not self.cleaned_data.get("learns"):
            self.instance.sealed_password = ""
        check: Check = super().save(commit)
        return check


@admin.register(Check)
class CheckAdmin(ModelAdmin):
    form = CheckForm
    list_display = ["name", "kind", "weight", "directions", "where"]
    list_filter = ["kind", "inbound", "outbound"]
    search_fields = ["name", "where"]
    empty_title = _lazy("No checks yet")
    empty_text = _lazy(
        "Without checks no mail is filtered for spam. SPF, DKIM and DMARC need only DNS; SpamAssassin and Rspamd are "
        "separate servers; a DNS list is named by its zone."
    )
    fieldsets = [
        (None, {"fields": ["name", "kind", "weight", ("inbound", "outbound")]}),
        (_lazy("Source"), {"fields": ["where", "pattern", "timeout_seconds", "parallel"]}),
        (_lazy("Training"), {"fields": ["learns", "learn_where", "password"]}),
    ]

    @admin.display(description=_lazy("for"))
    def directions(self, check: Check) -> str:
        if check.inbound and check.outbound:
            return _("inbound and outbound")
        return _("inbound") if check.inbound else _("outbound") if check.outbound else _("off")


@admin.register(TrustedSender)
class TrustedSenderAdmin(ModelAdmin):
    list_display = ["pattern", "description"]
    search_fields = ["pattern", "description"]
    empty_title = _lazy("No trusted senders")
    empty_text = _lazy(
        "Mail from a trusted sender skips the spam checks if SPF, DKIM or a login proves that it is really theirs."
    )
