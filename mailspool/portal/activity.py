"""The own connections and logins, and the own mail that has not left yet."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts import connections, containing
from accounts.connections.web import ORIGIN_KEY
from mailspool.portal.access import Member, member, page
from spool.actions import recalls
from spool.models import Entry

MOST_MAIL = 100


@require_GET
@member
def shown(request: HttpRequest, who: Member) -> HttpResponse:
    """Who is in with this account, and who was lately."""
    now = timezone.now()
    found = connections.listing(who.actor, user=who.user.email)
    return page(
        request,
        who,
        "portal/connections.html",
        _("Connections and logins"),
        {
            "connected": found.connections,
            "problems": found.problems,
            "own_id": request.session.get(ORIGIN_KEY, {}).get("id", ""),
            "logins": containing.logins_of(who.user, now, now),
            "days": containing.LOOK_BACK.days,
        },
    )


@require_POST
@member
def drop(request: HttpRequest, who: Member) -> HttpResponse:
    """End all connections of the account but this browser's."""
    keep = request.session.session_key or ""
    dropped = connections.drop(who.actor, user=who.user, keep_session=keep)
    messages.add_message(request, messages.WARNING if dropped.problems else messages.SUCCESS, dropped.sentence)
    return HttpResponseRedirect(reverse("portal:connections"))


@require_POST
@member
def end(request: HttpRequest, who: Member) -> HttpResponse:
    """End one connection of the account, by its `id`."""
    id = request.POST.get("id", "")[:200]
    if id:
        dropped = connections.drop_one(who.actor, id, user=who.user)
        messages.add_message(request, messages.WARNING if dropped.problems else messages.SUCCESS, dropped.sentence)
    return HttpResponseRedirect(reverse("portal:connections"))


@require_GET
@member
def mail(request: HttpRequest, who: Member) -> HttpResponse:
    """What the user has sent and is still here."""
    entries = list(Entry.objects.filter(auth_user=who.user.email).order_by("-id")[: MOST_MAIL + 1])
    return page(
        request,
        who,
        "portal/mail.html",
        _("My mail in the spool"),
        {"entries": entries[:MOST_MAIL], "more": len(entries) > MOST_MAIL},
    )


@require_POST
@member
def recall(request: HttpRequest, who: Member) -> HttpResponse:
    """Take messages back before they leave: those that are ticked. With `ask` first a page that asks."""
    chosen = request.POST.getlist("name")[:MOST_MAIL]
    if "ask" in request.POST:
        entries = list(Entry.objects.filter(auth_user=who.user.email, file_name__in=chosen).order_by("-id"))
        if entries:
            return page(request, who, "portal/recall.html", _("Recall"), {"entries": entries})
    try:
        done = recalls.recall(who.actor, who.user, chosen)
    except recalls.Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return HttpResponseRedirect(reverse("portal:mail"))
