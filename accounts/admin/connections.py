"""The page Connections: who is connected by whatever protocol, and Drop."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts import connections
from accounts.admin.frame import next_page, page
from accounts.connections.web import ORIGIN_KEY
from accounts.impersonation import actor_of
from accounts.models import User

MOST_ROWS = 200


@require_GET
def shown(request: HttpRequest) -> HttpResponse:
    """The table; with htmx, the table alone."""
    asked = request.GET.get("q", "").strip()[:254]
    context = _context(request, asked)
    if request.headers.get("HX-Request") == "true":
        return render(request, "accounts/_connections.html", context)
    return page(request, "accounts/connections.html", _("Connections"), context)


def _context(request: HttpRequest, asked: str) -> dict[str, Any]:
    chosen = _chosen(asked)
    found = connections.listing(
        actor_of(request), user=chosen.get("user", ""), ip=chosen.get("ip", ""), domain=chosen.get("domain", "")
    )
    rows = found.connections[:MOST_ROWS]
    addresses = {one.user for one in rows if one.user}
    people = dict(User.objects.filter(email__in=addresses).values_list("email", "pk"))
    return {
        "rows": [(one, people.get(one.user)) for one in rows],
        # Of one machine alone everybody knows where they are.
        "has_machines": len({one.machine for one in rows if one.machine}) > 1,
        "total": found.total,
        "problems": found.problems,
        "more": max(0, found.total - len(rows)),
        "q": asked,
        "chosen": chosen,
        "own_id": request.session.get(ORIGIN_KEY, {}).get("id", ""),
        "here": reverse("admin:accounts_user_connections"),
    }


def _chosen(asked: str) -> dict[str, str]:
    """A word of the search box is an IP address, a user's address, or a domain."""
    if not asked:
        return {}
    try:
        return {"ip": str(ipaddress.ip_address(asked))}
    except ValueError:
        return {"user": asked} if "@" in asked else {"domain": asked}


@require_POST
def drop(request: HttpRequest) -> HttpResponse:
    """End one connection (`id`), or all of a `user`, `domain` or `ip`."""
    actor, keep = actor_of(request), request.session.session_key or ""
    given = {name: request.POST.get(name, "").strip()[:254] for name in ("id", "user", "domain", "ip")}
    if given["id"]:
        dropped = connections.drop_one(actor, given["id"], keep_session=keep)
    elif given["user"] or given["domain"] or given["ip"]:
        dropped = connections.drop(
            actor,
            user=given["user"] or None,
            domain=given["domain"] or None,
            ip=given["ip"] or None,
            keep_session=keep,
        )
    else:
        messages.error(request, _("Say whose connections to drop."))
        return HttpResponseRedirect(reverse("admin:accounts_user_connections"))
    level = messages.WARNING if dropped.problems else messages.SUCCESS
    messages.add_message(request, level, dropped.sentence)
    return HttpResponseRedirect(next_page(request, reverse("admin:accounts_user_connections")))
