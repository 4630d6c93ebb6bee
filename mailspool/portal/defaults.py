"""What new users of a domain start with, and giving it to those that are there."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from accounts import actions, propagation
from accounts.fields import USER_DEFAULTS
from accounts.models import STAFF, DomainUserDefaults, User
from base import row_changes
from mailspool.portal.access import Member, domain_administrator, page
from mailspool.portal.forms import DefaultsForm


@require_http_methods(["GET", "POST"])
@domain_administrator
def shown(request: HttpRequest, who: Member) -> HttpResponse:
    """POST saves (`save`), shows what propagating would change (`look`), or propagates (`propagate`)."""
    row = DomainUserDefaults.of(who.domain)
    what = request.POST.get("do", "") if request.method == "POST" else ""
    form = DefaultsForm(request.POST if what == "save" else None, instance=row)
    here = reverse("portal:defaults")
    if what == "save" and form.is_valid():
        actions.change_defaults(
            row, actor=who.actor, **{name: form.cleaned_data[name] for name in USER_DEFAULTS.fields}
        )
        messages.success(request, _("Saved. New users start with these settings; existing users keep theirs."))
        return HttpResponseRedirect(here)
    chosen = [name for name in request.POST.getlist("field") if name in USER_DEFAULTS.fields]
    preview, error = None, ""
    if what in ("look", "propagate"):
        # Who administers the server is not reached from here.
        users = User.objects.filter(domain=who.domain).exclude(role__in=STAFF)
        try:
            preview = propagation.preview(row, chosen, users)
            if what == "propagate":
                number = propagation.propagate(who.actor, row, chosen, users)
                messages.success(
                    request,
                    ngettext("%(number)s of %(total)s users changed.", "%(number)s of %(total)s users changed.", number)
                    % {"number": number, "total": preview.chosen},
                )
                return HttpResponseRedirect(here)
        except propagation.NoFieldChosen as problem:
            error = str(problem)
    labels = propagation.fields_of(row)
    return page(
        request,
        who,
        "portal/defaults.html",
        _("Defaults for new users"),
        {
            "form": form,
            "preview": preview,
            "examples": _examples(preview, labels),
            "error": error,
            "chosen": chosen,
            "fields": [(name, label, _shown(name, getattr(row, name))) for name, label in labels.items()],
        },
    )


def _shown(name: str, value: object) -> str:
    return row_changes.in_a_word(DomainUserDefaults._meta.get_field(name), value)


def _examples(found: propagation.Preview | None, labels: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """User, limit, what it is now and what it would be."""
    names = {label: name for name, label in labels.items()}
    return [
        (one.name, one.field, _shown(names[one.field], one.is_now), _shown(names[one.field], one.would_be))
        for one in (found.examples if found is not None else ())
    ]
