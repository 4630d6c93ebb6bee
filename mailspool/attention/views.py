"""The strip by itself, an alert's own page, and what is said to one."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.addresses import key_of
from accounts.models import User
from mailspool.attention import items
from spool.alerts import response
from spool.alerts.watches import Subject, watch_of
from spool.console.pages import actor_of, is_htmx, page
from spool.models import AlertEvent


@require_GET
def strip(request: HttpRequest) -> HttpResponse:
    """What goes on now; 204 when that is what the page has `seen`."""
    attention = items.current()
    if request.GET.get("seen") == attention.digest:
        return HttpResponse(status=204)
    return _strip(request)


@require_GET
def alert(request: HttpRequest, pk: int) -> HttpResponse:
    """One alert: what was measured, who knows of it, and what can be done."""
    event = get_object_or_404(AlertEvent.objects.select_related("rule").prefetch_related("notices"), pk=pk)
    watch = watch_of(event.kind)
    return page(
        request,
        "mailspool/attention/alert.html",
        items.item_of(event).sentence,
        {
            "event": event,
            "watch": watch,
            "measured": response.measured(event),
            "about": watch.says(event.key),
            "incident": items.incident_of(event),
            "menu": items.menu_of(event) if event.ended is None else "",
            "shown_at": watch.page(event.key),
            "contains": watch.subject is Subject.USER,
            "muted": event.muted_until is not None and event.muted_until > timezone.now(),
            "spans": items.SPANS,
        },
    )


@require_GET
def contain(request: HttpRequest, pk: int) -> HttpResponse:
    """To where the account is contained that an alert is about; to the alert when there is no such account."""
    event = get_object_or_404(AlertEvent, pk=pk)
    user = User.objects.filter(email=key_of(event.key)).first() if event.key else None
    return redirect("admin:accounts_user_contain", user.pk) if user else redirect("attention_alert", pk)


@require_POST
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody takes care of it."""
    for event in _events(request, pk):
        response.acknowledge(actor_of(request), event)
    return _changed(request, pk)


@require_POST
def mute(request: HttpRequest, pk: int) -> HttpResponse:
    """Silence, for so many minutes; 0 ends it."""
    minutes = request.POST.get("minutes", "")
    if minutes != "0" and minutes not in items.SPANS:
        return HttpResponse(_("There is no such time."), status=400)
    for event in _events(request, pk):
        if minutes == "0":
            response.unmute(actor_of(request), event)
        else:
            response.mute(actor_of(request), event, timezone.now() + timedelta(minutes=int(minutes)))
    return _changed(request, pk)


def _events(request: HttpRequest, pk: int) -> list[AlertEvent]:
    """The alert, and those that stood in one line with it. Others may have ended meanwhile."""
    alerts = AlertEvent.objects.select_related("rule")
    named = [int(one) for one in request.POST.get("also", "").split(",")[: items.MOST] if one.isdecimal()]
    return [get_object_or_404(alerts, pk=pk), *alerts.filter(pk__in=named, ended=None).exclude(pk=pk)]


def _changed(request: HttpRequest, pk: int) -> HttpResponse:
    items.look_again()
    return _strip(request) if is_htmx(request) else redirect("attention_alert", pk)


def _strip(request: HttpRequest) -> HttpResponse:
    return render(request, "mailspool/attention/_strip.html", {"attention": items.current(), "spoken": True})
