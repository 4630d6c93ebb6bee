"""Giving defaults to domains or users that are there: choose, look at what would change, then do it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.generic import FormView
from unfold.views import UnfoldModelAdminViewMixin
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextareaWidget,
)

from accounts import actions, propagation
from accounts.addresses import InvalidAddress
from accounts.admin.log_entries import log
from accounts.impersonation import actor_of
from accounts.models import Domain, DomainDefaults, User, UserDefaults

ALL, SOME = "all", "some"


class PropagateForm(forms.Form):
    """Which fields, and to whom."""

    fields_chosen = forms.MultipleChoiceField(
        label=_lazy("What"),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        error_messages={"required": _lazy("Choose at least one.")},
    )
    scope = forms.ChoiceField(label=_lazy("To whom"), widget=UnfoldAdminRadioSelectWidget, initial=ALL)
    names = forms.CharField(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}))

    def __init__(self, *args: Any, defaults: DomainDefaults | UserDefaults, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_of_users = isinstance(defaults, UserDefaults)
        self.fields["fields_chosen"].choices = [  # type: ignore[attr-defined]
            (name, f"{label}: {propagation.value_of(defaults, name)}")
            for name, label in propagation.fields_of(defaults).items()
        ]
        self.fields["scope"].choices = [  # type: ignore[attr-defined]
            (ALL, _("All users") if self.is_of_users else _("All domains")),
            (SOME, _("Only the users named below") if self.is_of_users else _("Only the domains named below")),
        ]
        self.fields["names"].label = _("Users or domains") if self.is_of_users else _("Domains")
        example = _("ann@example.org, or example.org for all in it") if self.is_of_users else "example.org"
        self.fields["names"].help_text = _("One per line: %(example)s.") % {"example": example}

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self.domains: list[Domain] = []
        self.users: list[User] = []
        if self.cleaned_data.get("scope") == SOME:
            for name in self.cleaned_data.get("names", "").replace(",", "\n").split():
                try:
                    if self.is_of_users and "@" in name:
                        self.users.append(actions.get_user(name))
                    else:
                        self.domains.append(actions.get_domain(name))
                except (actions.NotThere, InvalidAddress) as error:
                    self.add_error("names", str(error))
            if not self.domains and not self.users and not self.errors:
                self.add_error("names", _("Name at least one, or choose all."))
        return cleaned

    def rows(self) -> QuerySet[Any]:
        """The chosen domains or users."""
        if self.cleaned_data["scope"] == ALL:
            return User.objects.all() if self.is_of_users else Domain.objects.all()
        if self.is_of_users:
            return User.objects.filter(Q(domain__in=self.domains) | Q(pk__in=[user.pk for user in self.users]))
        return Domain.objects.filter(pk__in=[domain.pk for domain in self.domains])


class PropagateView(UnfoldModelAdminViewMixin, FormView):
    """The first POST shows what would change; the one with `confirmed` does it."""

    title = _lazy("Propagate defaults")
    permission_required = ()
    form_class = PropagateForm
    template_name = "accounts/propagate.html"
    success_url = reverse_lazy("admin:index")

    @property
    def defaults(self) -> DomainDefaults | UserDefaults:
        return self.model_admin.model.load()

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "defaults": self.defaults}

    def form_valid(self, form: PropagateForm) -> HttpResponse:
        fields, rows = form.cleaned_data["fields_chosen"], form.rows()
        preview = propagation.preview(self.defaults, fields, rows)
        if "confirmed" not in self.request.POST or not preview.changing:
            confirmable = preview.changing > 0
            context = self.get_context_data(form=form, looked=True, confirmable=confirmable, preview=preview)
            return self.render_to_response(context)
        changed = propagation.propagate(actor_of(self.request), self.defaults, fields, rows)
        what = propagation.in_words(self.defaults, fields)
        whom = "all" if form.cleaned_data["scope"] == ALL else ", ".join(map(str, [*form.domains, *form.users]))
        log(self.request, type(self.defaults).objects.all(), f"Propagated {what} to {whom}: {changed} changed")
        messages.success(
            self.request, (_("%(changed)s of %(chosen)s changed.") % {"changed": changed, "chosen": preview.chosen})
        )
        return redirect(f"admin:accounts_{self.model_admin.opts.model_name}_change", self.defaults.pk)
