"""The tabs Throttled Users and Throttled Domains, their actions, and the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from accounts import securing
from accounts.models import Metric, Status
from base.actions import registry
from base.actions.action import NotAllowed, Refused, SingleAction, Target
from base.actions.perform import Done, perform
from spool.actions import Actor
from spool.console.pages import actor_of, is_htmx, page
from spool.console.tabs import tabs_for
from throttling import events
from throttling.actions.limits import RAISE_LIMIT
from throttling.actions.release import RELEASE
from throttling.console.rows import rows
from throttling.models import ThrottleEvent
from throttling.subjects import DOMAIN_KINDS, USER_KINDS, SubjectKind
from throttling.wording import amount, unit

PAGE = 50
PREFIX = "admin:throttling_throttleevent_"
# By their names in the addresses of these pages.
ACTIONS: dict[str, SingleAction[Any]] = {
    "release": RELEASE,
    "raise": RAISE_LIMIT,
    "disable": securing.BY_STATUS[Status.RECEIVING],
}


@require_GET
def users(request: HttpRequest) -> HttpResponse:
    """Users, mailing lists and client IPs that are over a limit now."""
    return _list(request, "users", _("Throttled Users"), USER_KINDS)


@require_GET
def domains(request: HttpRequest) -> HttpResponse:
    """Domains that are over a limit now."""
    return _list(request, "domains", _("Throttled Domains"), DOMAIN_KINDS)


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
        "actions": ACTIONS,
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
        _("History of throttling"),
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
    if verb not in ACTIONS:
        raise Http404(_("There is no such action."))
    event = get_object_or_404(ThrottleEvent, pk=pk)
    if request.method == "GET":
        return _dialog(request, verb, event)
    try:
        done = act_on(actor_of(request), ACTIONS[verb], event, request.POST)
    except (NotAllowed, Refused) as error:
        return _dialog(request, verb, event, str(error))
    except ValidationError as error:
        return _dialog(request, verb, event, " ".join(error.messages))
    answer = render(request, "throttling/console/_done.html", {"sentence": done.sentence, "good": done.good})
    answer["HX-Trigger"] = "ms-done"
    answer["HX-Retarget"] = "#results"
    return answer


def act_on(actor: Actor, action: SingleAction[Any], event: ThrottleEvent, typed: Mapping[str, str]) -> Done:
    """Do an action to whom a throttle is about. Raises NotAllowed, Refused and ValidationError."""
    subject = events.subject_of(event)
    target = registry.thing(subject.kind, subject.name) or Target.of(subject.kind, subject.name)
    return perform(action, actor, target, {"metric": event.metric, "limit": typed.get("limit", "")})


def asked(action: SingleAction[Any], event: ThrottleEvent) -> dict[str, Any]:
    """What the dialog of an action says of a throttle, wherever it is shown."""
    [row] = rows([event])
    subject, metric = events.subject_of(event), Metric(event.metric)
    target = registry.thing(subject.kind, subject.name) or Target.of(subject.kind, subject.name)
    return {
        "action": action,
        "row": row,
        "event": event,
        "effect": action.effect(target, {}),
        "unit": unit(metric),
        "now_allowed": amount(metric, event.amount),
    }


def _dialog(request: HttpRequest, verb: str, event: ThrottleEvent, error: str = "") -> HttpResponse:
    context = {
        **asked(ACTIONS[verb], event),
        "error": error,
        "limit": request.POST.get("limit"),
        "place": reverse(f"{PREFIX}act", args=[verb, event.pk]),
    }
    return render(request, "throttling/console/_dialog.html", context)
