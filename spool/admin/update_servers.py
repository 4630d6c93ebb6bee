"""Name servers that take DNS updates, in the console."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget

from accounts.admin.searching import ModelAdmin
from base.dns_updates import key_name_problem, secret_problem
from base.sealed import seal
from spool.models import UpdateServer


class UpdateServerForm(forms.ModelForm):
    """A server and its key, whose secret can be set, not read."""

    secret = forms.CharField(
        label=_lazy("Secret"),
        required=False,
        max_length=400,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_lazy("Of the TSIG key, in Base64. Leave empty to keep the one there is."),
    )

    class Meta:
        model = UpdateServer
        fields = ["domain", "host", "port", "key_name", "algorithm", "secret", "enabled"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        name, secret = cleaned.get("key_name"), cleaned.get("secret")
        if not secret and not self.instance.sealed_secret:
            self.add_error("secret", ValidationError(_("Enter the secret of the key.")))
        if secret and (problem := secret_problem(secret)):
            self.add_error("secret", ValidationError(problem))
        if name and (problem := key_name_problem(name)):
            self.add_error("key_name", ValidationError(problem))
        return cleaned

    def save(self, commit: bool = True) -> UpdateServer:
        if self.cleaned_data.get("secret"):
            self.instance.sealed_secret = seal(self.cleaned_data["secret"])
        server: UpdateServer = super().save(commit)
        return server


@admin.register(UpdateServer)
class UpdateServerAdmin(ModelAdmin):
    form = UpdateServerForm
    list_display = ["domain", "host", "port", "key_name", "shown_last", "enabled"]
    search_fields = ["domain", "host"]
    empty_title = _lazy("No name server takes updates yet")
    empty_text = _lazy(
        "Records are put into the DNS by hand. Where a zone's primary name server (BIND, Knot DNS, PowerDNS, Windows)"
        " takes updates signed by a TSIG key, this server keeps the records of DKIM keys there by itself, through"
        " every rotation, and the others when you choose Publish on a domain's page in DNS records."
    )

    @display(description=_lazy("Last update"))
    def shown_last(self, server: UpdateServer) -> str:
        """How it went."""
        if server.tried is None:
            return _("None yet")
        return _("Failed: %(problem)s") % {"problem": server.wrong} if server.problem else _("Succeeded")
