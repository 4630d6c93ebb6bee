"""For domain administrators: which of their users and lists are over a limit, letting go, and raising limits.

The domain itself is shown too; what its limits are is a system administrator's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from accounts.directory import bounces_address
from accounts.models import STAFF, MailingList, User
from base.actions.action import NotAllowed, Refused, SingleAction
from mailspool.portal.access import Member, domain_administrator, page
from spool.models import Status
from throttling.actions.limits import RAISE_LIMIT
from throttling.actions.release import RELEASE
from throttling.console.rows import Row, rows
from throttling.console.views import act_on, asked
from throttling.models import ThrottleEvent
from throttling.subjects import SubjectKind

MOST, MOST_PAST = 200, 20
ACTIONS: dict[str, SingleAction[Any]] = {action.name: action for action in (RELEASE, RAISE_LIMIT)}
_KINDS = (SubjectKind.USER, SubjectKind.LIST, SubjectKind.DOMAIN)


@dataclass(frozen=True, slots=True)
class Shown:
    """A row with the links of these pages; empty where there is nothing to lead to."""

    row: Row
    account: str
    messages: str


@require_GET
@domain_administrator
def listed(request: HttpRequest, who: Member) -> HttpResponse:
    """Who is throttled in the domain now, and who was lately."""
    within = _within(who)
    lasting = list(within.filter(ended=None).order_by("-since", "-id")[: MOST + 1])
    return page(
        request,
        who,
        "portal/throttled.html",
        _("Throttled Users"),
        {
            "shown": _shown(lasting[:MOST]),
            "more": len(lasting) > MOST,
            "actions": ACTIONS.values(),
            "now": timezone.now(),
            "past": rows(list(within.exclude(ended=None).order_by("-id")[:MOST_PAST])),
        },
    )


@require_http_methods(["GET", "POST"])
@domain_administrator
def act(request: HttpRequest, who: Member, verb: str, pk: int) -> HttpResponse:
    """GET: what an action will do, to be agreed to. POST: do it; what can't be done comes back with the reason."""
    if verb not in ACTIONS:
        raise Http404(_("There is no such action."))
    event = get_object_or_404(_within(who).exclude(kind=SubjectKind.DOMAIN), pk=pk)
    action, error = ACTIONS[verb], ""
    if request.method == "POST":
        try:
            messages.success(request, act_on(who.actor, action, event, request.POST).sentence)
            return HttpResponseRedirect(reverse("portal:throttled"))
        except (NotAllowed, Refused) as problem:
            error = str(problem)
        except ValidationError as problem:
            error = " ".join(problem.messages)
    context = {**asked(action, event), "error": error, "limit": request.POST.get("limit", "")}
    return page(
        request,
        who,
        "portal/throttled_act.html",
        _("%(action)s: %(what)s") % {"action": action.label, "what": event.name},
        context,
    )


def _within(who: Member) -> QuerySet[ThrottleEvent]:
    """The events of the domain, but for those of who works in the console, whose addresses may lie in it."""
    others = User.objects.filter(domain=who.domain, role__in=STAFF)
    of_domain = ThrottleEvent.objects.filter(domain=who.domain.name, kind__in=_KINDS)
    return of_domain.exclude(kind=SubjectKind.USER, name__in=others.values("email"))


def _shown(lasting: list[ThrottleEvent]) -> list[Shown]:
    links = _account_links(event.name for event in lasting)
    return [Shown(row, links.get(row.event.name, ""), _messages_link(row.event)) for row in rows(lasting)]


def _account_links(names: Iterable[str]) -> dict[str, str]:
    wanted = list(names)
    users: Any = User.objects.filter(email__in=wanted).values_list("email", "pk")
    lists: Any = MailingList.objects.filter(address__in=wanted).values_list("address", "pk")
    return {name: reverse("portal:edit_users", args=[pk]) for name, pk in users} | {
        name: reverse("portal:edit_lists", args=[pk]) for name, pk in lists
    }


def _messages_link(event: ThrottleEvent) -> str:
    asked = {"status": Status.THROTTLED.value}
    if event.kind == SubjectKind.USER:
        # By whatever address of theirs they sent it.
        asked["auth-user"] = event.name
    elif event.kind == SubjectKind.LIST:
        asked["sender"] = bounces_address(event.name)
    return f"{reverse('portal:senders')}?{urlencode(asked)}"
