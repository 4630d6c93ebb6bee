"""What a domain administrator does to a user, alias or list of the domain: a page that asks first, and doing it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.admin.containing import keep_logged_in
from base.actions import registry
from base.actions.action import NotAllowed, Refused
from base.actions.perform import perform, preview
from mailspool.menus.typed import fields, typed
from mailspool.portal.access import Member, domain_administrator, page
from mailspool.portal.domain import KINDS
from mailspool.portal.row_menu import PAGES


@require_http_methods(["GET", "POST"])
@domain_administrator
def act(request: HttpRequest, who: Member, kind: str, name: str, pk: int) -> HttpResponse:
    """GET: what an action will do, to be agreed to. POST: do it; what can't be done comes back with the reason."""
    row = KINDS[PAGES[kind]].rows(who).filter(pk=pk).first() if kind in PAGES else None
    target = registry.thing(kind, str(row)) if row is not None else None
    action = registry.find(kind, name)
    if target is None or action is None or not registry.is_offered(action, target, who.actor):
        raise Http404(_("There is no such action."))
    given = typed(action, request.POST)
    error, is_own = "", row == who.user
    back = reverse(f"portal:edit_{PAGES[kind]}", args=[pk])
    if request.method == "POST":
        keep = {"keep_session": request.session.session_key or ""} if is_own else {}
        try:
            done = perform(action, who.actor, target, {**given, **keep})
        except (NotAllowed, Refused) as problem:
            error = str(problem)
        except ValidationError as problem:
            error = " ".join(problem.messages)
        else:
            if is_own:
                keep_logged_in(request, target.rows[0])
            messages.add_message(request, messages.SUCCESS if done.good else messages.WARNING, done.sentence)
            return HttpResponseRedirect(back)
    shown = fields(action, target, given)
    values = {one.name: value for one, value in shown} | given
    context: dict[str, Any] = {"action": action, "label": action.label_of(target), "fields": shown, "back": back}
    try:
        context["effect"] = preview(action, who.actor, target, values).effect
    except Refused as problem:
        error = error or str(problem)
    return page(
        request,
        who,
        "portal/act.html",
        _("%(action)s: %(what)s") % {"action": context["label"], "what": target},
        {**context, "error": error},
    )
