"""Whom somebody allows and blocks for their own mailbox; for domain administrators, the same of their users."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods

from accounts.models import User
from base.texts import Text
from mailspool.portal.access import Member, domain_administrator, member, page
from mailspool.portal.domain import KINDS
from quarantine.console.listed_views import done, lists_of

TITLE = _lazy("Allowed and blocked senders")


@require_http_methods(["GET", "POST"])
@member
def own_senders(request: HttpRequest, who: Member) -> HttpResponse:
    """The own lists."""
    return _lists(request, who, who.user, TITLE, {})


@require_http_methods(["GET", "POST"])
@domain_administrator
def user_senders(request: HttpRequest, who: Member, pk: int) -> HttpResponse:
    """Those of a user of the domain."""
    user = get_object_or_404(KINDS["users"].rows(who), pk=pk)
    return _lists(request, who, user, _("Allowed and blocked senders of %(user)s") % {"user": user}, {"account": user})


def _lists(request: HttpRequest, who: Member, user: User, title: Text, context: dict[str, Any]) -> HttpResponse:
    if request.method == "POST" and done(request, who.actor, user):
        return HttpResponseRedirect(request.path)
    return page(request, who, "portal/listed_senders.html", title, {**lists_of(request, user), **context})
