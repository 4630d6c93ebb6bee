"""Blacklisting many networks at once: from a text box or a file, after a look at what would become of them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.generic import FormView
from unfold.views import UnfoldModelAdminViewMixin
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from security import actions
from security.models import Protocol
from spool.actions import Refused
from spool.actions.queue import moment_of
from spool.admin.uploads import uploaded_text
from spool.console.pages import actor_of

MOST_SHOWN = 20


class ImportForm(forms.Form):
    """Networks as lists of them are published: one to a line, remarks after # or ;."""

    networks = forms.CharField(
        label=_lazy("IP addresses and networks"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        help_text=_lazy("One to a line or between commas; what follows # or ; is a remark."),
    )
    file = forms.FileField(
        label=_lazy("or a file of them"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_lazy("Text, up to 5 MB."),
    )
    protocols = forms.MultipleChoiceField(
        label=_lazy("Block"),
        choices=Protocol.choices,
        initial=[Protocol.SMTP],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    until = forms.CharField(
        label=_lazy("Expires"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_lazy("2h, 3d or 2026-12-31 18:00. Empty for never."),
    )
    description = forms.CharField(
        label=_lazy("Description"), required=False, max_length=200, widget=UnfoldAdminTextInputWidget
    )

    def clean_until(self) -> Any:
        text = self.cleaned_data["until"].strip()
        try:
            return moment_of(text) if text else None
        except Refused as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self.wanted = actions.networks_in(f"{self.cleaned_data.get('networks', '')}\n{uploaded_text(self)}")
        if not self.wanted and not self.errors:
            self.add_error("networks", _("Give at least one, here or in a file."))
        return cleaned


class ImportView(UnfoldModelAdminViewMixin, FormView):
    """The first POST shows what would become of each; the one with `confirmed` does it."""

    title = _lazy("Add many to the blacklist")
    permission_required = ()
    form_class = ImportForm
    template_name = "security/import.html"
    success_url = reverse_lazy("admin:security_blacklistentry_changelist")

    def form_valid(self, form: ImportForm) -> HttpResponse:
        is_confirmed = "confirmed" in self.request.POST
        try:
            outcome = self._blacklist(form, dry_run=not is_confirmed)
        except Refused as error:
            form.add_error("networks", str(error))
            return self.form_invalid(form)
        if is_confirmed:
            messages.success(self.request, f"{outcome}.")
            for warning in outcome.warnings[:MOST_SHOWN]:
                messages.warning(self.request, warning)
            return redirect(self.success_url)
        # What was in a file goes on in the box: a browser can't send the file again by itself.
        bound = ImportForm({**self.request.POST.dict(), "networks": "\n".join(form.wanted)})
        bound.data = {**bound.data, "protocols": form.cleaned_data["protocols"]}
        bound.is_valid()
        context = self.get_context_data(
            form=bound,
            looked=True,
            confirmable=bool(outcome.new or outcome.present),
            outcome=outcome,
            most_shown=MOST_SHOWN,
        )
        return self.render_to_response(context)

    def _blacklist(self, form: ImportForm, *, dry_run: bool) -> actions.Added:
        return actions.blacklist_many(
            actor_of(self.request),
            form.wanted,
            protocols=form.cleaned_data["protocols"],
            description=form.cleaned_data["description"],
            expires_at=form.cleaned_data["until"],
            dry_run=dry_run,
        )
