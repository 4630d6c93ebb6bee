"""The first steps: a part of the Overview, and a page of their own."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from base.actions.action import Refused
from mailspool.first_run import ending, steps
from spool.console.pages import actor_of, is_htmx, page


@require_GET
def shown(request: HttpRequest) -> HttpResponse:
    """The list by itself for the Overview; else the page."""
    if "again" in request.GET:
        steps.look_again()
    return _shown(request)


@require_POST
def test(request: HttpRequest) -> HttpResponse:
    """Send a test message to `to`."""
    try:
        ending.send_test(actor_of(request), request.POST.get("to", "").strip()[:320])
    except Refused as refused:
        return _shown(request, str(refused))
    return _shown(request) if is_htmx(request) else redirect("first_run")


@require_POST
def dismiss(request: HttpRequest) -> HttpResponse:
    """Put it away; its page stays."""
    ending.put_away(actor_of(request))
    return HttpResponse() if is_htmx(request) else redirect("admin:index")


def _shown(request: HttpRequest, error: str = "") -> HttpResponse:
    assert isinstance(request.user, User)
    is_looking = steps.look_beside()
    found = steps.steps(request.user, waits=False)
    done = sum(step.done for step in found)
    is_over = steps.is_over()
    if done == len(found) and not is_over:
        ending.finish()
    context: dict[str, Any] = {
        "steps": found,
        "is_looking": is_looking,
        "done": done,
        "error": error,
        "to": request.POST.get("to") or ("" if request.user.email.endswith("@localhost") else request.user.email),
        "is_over": is_over,
        "tabs": [],
    }
    if is_htmx(request):
        return render(request, "mailspool/first_run/_list.html", context)
    return page(request, "mailspool/first_run/page.html", _("First steps"), context)
