"""The tabs Throttled Users and Throttled Domains, their actions, and the history."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import Metric
from spool.console.pages import actor_of, is_htmx, page
from spool.console.tabs import tabs_for
from throttling import actions, events
from throttling.console.rows import rows
from throttling.models import ThrottleEvent
from throttling.subjects import DOMAIN_KINDS, USER_KINDS, SubjectKind
from throttling.wording import amount, unit

PAGE = 50
PREFIX = "admin:throttling_throttleevent_"
_VERBS = {"release": "Release now", "raise": "Raise limit", "disable": "Disable User"}
_PROBLEMS = (actions.NotAllowed, actions.NoSuchSubject, actions.NothingToRelease)


@require_GET
def users(request: HttpRequest) -> HttpResponse:
    """Users, mailing lists and client IPs that are over a limit now."""
    return _list(request, "users", "Throttled Users", USER_KINDS)


@require_GET
def domains(request: HttpRequest) -> HttpResponse:
    """Domains that are over a limit now."""
    return _list(request, "domains", "Throttled Domains", DOMAIN_KINDS)


def _list(request: HttpRequest, name: str, title: str, kinds: tuple[SubjectKind, ...]) -> HttpResponse:
    found = events.now_throttled(kinds)
    shown, following = _page(request, _searched(request, found))
    here = reverse(f"{PREFIX}{name}")
    context = {
        "rows": rows(shown),
        "here": here,
        "full_path": f"{here}?{request.GET.urlencode()}",
        "of_users": name == "users",
        "q": request.GET.get("q", ""),
        "now": timezone.now(),
        "following": following,
        "title": title,
        "history": reverse(f"{PREFIX}changelist"),
    }
    if is_htmx(request):
        return render(request, "throttling/console/_refresh.html", {**context, "tabs": tabs_for(request)})
    return page(request, "throttling/console/list.html", title, context)


@require_GET
def history(request: HttpRequest) -> HttpResponse:
    """Every throttle there was, the latest first."""
    shown, following = _page(request, _searched(request, ThrottleEvent.objects.order_by("-id")))
    return page(
        request,
        "throttling/console/history.html",
        "History of throttling",
        {
            "rows": rows(shown),
            "here": reverse(f"{PREFIX}changelist"),
            "q": request.GET.get("q", ""),
            "now": timezone.now(),
            "following": following,
        },
    )


def _searched(request: HttpRequest, found: QuerySet[ThrottleEvent]) -> QuerySet[ThrottleEvent]:
    text = " ".join(request.GET.get("q", "").split())[:255].replace("\x00", "")
    return found.filter(name__icontains=text) if text else found


def _page(request: HttpRequest, found: QuerySet[ThrottleEvent]) -> tuple[list[ThrottleEvent], str]:
    after = request.GET.get("after", "")
    found = found.order_by("-id")
    if after.isascii() and after.isdigit() and len(after) < 19:
        found = found.filter(pk__lt=int(after))
    shown = list(found[: PAGE + 1])
    kept = {"q": request.GET["q"]} if request.GET.get("q") else {}
    following = urlencode({**kept, "after": shown[PAGE - 1].pk}) if len(shown) > PAGE else ""
    return shown[:PAGE], following


@require_http_methods(["GET", "POST"])
def act(request: HttpRequest, verb: str, pk: int) -> HttpResponse:
    """GET: what an action will do, to be agreed to. POST: do it; what can't be done comes back with the reason."""
    if verb not in _VERBS:
        raise Http404("There is no such action.")
    event = get_object_or_404(ThrottleEvent, pk=pk)
    if request.method == "GET":
        return _dialog(request, verb, event)
    try:
        sentence = _do(request, verb, event)
    except _PROBLEMS as error:
        return _dialog(request, verb, event, str(error))
    except ValidationError as error:
        return _dialog(request, verb, event, " ".join(error.messages))
    answer = render(request, "throttling/console/_done.html", {"sentence": sentence, "good": True})
    answer["HX-Trigger"] = "ms-done"
    answer["HX-Retarget"] = "#results"
    return answer


def _do(request: HttpRequest, verb: str, event: ThrottleEvent) -> str:
    actor, subject = actor_of(request), events.subject_of(event)
    if verb == "release":
        return actions.release(actor, subject).sentence
    if verb == "disable":
        actions.disable(actor, subject)
        return f"{subject} may neither log in nor send any more, and still receives."
    return actions.raise_to(actor, subject, Metric(event.metric), request.POST.get("limit", ""))


def _dialog(request: HttpRequest, verb: str, event: ThrottleEvent, error: str = "") -> HttpResponse:
    [row] = rows([event])
    metric = Metric(event.metric)
    context: dict[str, Any] = {
        "verb": verb,
        "title": _VERBS[verb],
        "row": row,
        "event": event,
        "error": error,
        "limit": request.POST.get("limit"),
        "unit": unit(metric),
        "now_allowed": amount(metric, event.amount),
        "place": reverse(f"{PREFIX}act", args=[verb, event.pk]),
    }
    return render(request, "throttling/console/_dialog.html", context)
