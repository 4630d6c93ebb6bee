"""The page of the senders that one user allows and blocks, for those who help with that in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.account_actions import of_users
from accounts.actor import Actor
from accounts.admin.frame import page
from accounts.models import User
from accounts.templatetags.reach import sends
from base.actions.action import NotAllowed, Refused, SingleAction
from base.actions.perform import perform
from quarantine.actions.listed import ALLOW_SENDER, BLOCK_SENDER, UNLIST_SENDER
from quarantine.models.antispam import AntispamSettings
from quarantine.models.listed import MOST, ListedSender, Listing
from spool.console.pages import actor_of

_ACTIONS: dict[str, SingleAction[Actor]] = {"allow": ALLOW_SENDER, "block": BLOCK_SENDER, "remove": UNLIST_SENDER}


@require_http_methods(["GET", "POST"])
def senders(request: HttpRequest, pk: int) -> HttpResponse:
    """The lists of a user."""
    user = get_object_or_404(User.objects.select_related("domain"), pk=pk)
    if request.method == "POST" and done(request, actor_of(request), user):
        return HttpResponseRedirect(request.path)
    may_change = sends(request, "listed_senders")
    context = {**lists_of(request, user), "account": user, "may_change": may_change}
    return page(
        request, "quarantine/senders.html", (_("Allowed and blocked senders of %(user)s") % {"user": user}), context
    )


def done(request: HttpRequest, actor: Actor, user: User) -> bool:
    """Do what was posted, and tell of it; False when it was refused, so that what was typed is shown again."""
    action = _ACTIONS.get(request.POST.get("do", ""))
    if action is None:
        raise Http404(_("There is no such action."))
    try:
        messages.success(
            request, perform(action, actor, of_users([user]), {"sender": request.POST.get("sender")}).sentence
        )
    except (Refused, NotAllowed) as error:
        messages.error(request, str(error))
        return False
    return True


def lists_of(request: HttpRequest, user: User) -> dict[str, Any]:
    """What the page shows."""
    rows = list(ListedSender.objects.filter(user=user))
    return {
        "lists": [(name.label, name, [row for row in rows if row.listing == name]) for name in Listing],
        "typed": (request.POST.get("sender") or request.GET.get("sender", ""))[:320],
        "users_choose": AntispamSettings.current().users_choose,
        "count": len(rows),
        "most": MOST,
        "may_change": True,
    }


def listed_urls() -> list[URLPattern]:
    """Below the user's own page, of which it is a part: they come before the admin site's own."""
    view = admin.site.admin_view(senders)
    return [path("admin/accounts/user/<int:pk>/senders/", view, name="listed_senders")]
