"""Importing suppression lists: from a file or a text box, after a look at what would become of each line."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.generic import FormView
from unfold.views import UnfoldModelAdminViewMixin
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from spool.actions import NotAllowed, Refused
from spool.actions.suppression_files import COLUMNS, Unreadable, read, summary, take
from spool.admin.uploads import uploaded_text
from spool.console.pages import actor_of

MOST_SHOWN: Final = 200
_OTHERS: Final = ", ".join(name for name in COLUMNS if name != "address")


class ImportForm(forms.Form):
    """CSV with a heading, as the export has it."""

    text = forms.CharField(
        label="CSV",
        required=False,
        strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        help_text=format_lazy(_lazy("With a heading: address, and any of {columns}."), columns=_OTHERS),
    )
    file = forms.FileField(
        label=_lazy("or a file of it"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_lazy("CSV in UTF-8, up to 5 MB."),
    )
    domain = forms.CharField(
        label=_lazy("Domain"),
        required=False,
        max_length=253,
        widget=UnfoldAdminTextInputWidget,
        help_text=_lazy("For this domain's mail, where a line names none."),
    )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self.content = uploaded_text(self) or self.cleaned_data.get("text", "")
        if not self.content.strip() and not self.errors:
            self.add_error("text", _("Give some lines, here or in a file."))
        if not self.errors:
            try:
                self.lines = read(self.content, timezone.now(), self.cleaned_data["domain"].strip())
            except Unreadable as error:
                self.add_error("text", str(error))
        return cleaned


class ImportView(UnfoldModelAdminViewMixin, FormView):
    """The first POST shows what would become of each line; the one with `confirmed` does it."""

    title = _lazy("Import suppressed addresses")
    permission_required = ()
    form_class = ImportForm
    template_name = "spool/console/import_suppression.html"
    success_url = reverse_lazy("admin:spool_suppression_changelist")

    def form_valid(self, form: ImportForm) -> HttpResponse:
        if "confirmed" in self.request.POST:
            try:
                said = take(actor_of(self.request), form.lines)
            except (Refused, NotAllowed) as error:
                form.add_error("text", str(error))
                return self.form_invalid(form)
            for sentence in said[:MOST_SHOWN] or [_("Nothing to add.")]:
                messages.success(self.request, sentence)
            return redirect(self.success_url)
        # What was in a file goes on in the box: a browser can't send the file again by itself.
        bound = ImportForm({**self.request.POST.dict(), "text": form.content})
        bound.is_valid()
        shown = sorted(form.lines, key=lambda line: (not line.problem, line.number))
        new = sum(not line.problem and not line.is_there for line in form.lines)
        context = self.get_context_data(
            form=bound,
            looked=True,
            confirmable=new > 0,
            summary=summary(form.lines),
            lines=shown[:MOST_SHOWN],
            more=max(0, len(shown) - MOST_SHOWN),
            new=new,
        )
        return self.render_to_response(context)
