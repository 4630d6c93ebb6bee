"""A thing's menu, the dialog of an action, and doing what it asks for. For system administrators."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.admin.containing import keep_logged_in
from base.actions import registry
from base.actions.action import NotAllowed, Opening, Refused, SingleAction, Target
from base.actions.perform import Done, perform, preview
from mailspool.menus.items import items_for_messages, items_of, items_of_list, query_of
from mailspool.menus.typed import PREFIX, fields, typed
from spool.actions import Actor
from spool.console.pages import actor_of
from spool.filters import BadFilter

LONGEST = 320
MOST_KEYS = 200


@require_GET
def menu(request: HttpRequest, kind: str) -> HttpResponse:
    """What can be done to a thing, as it is now."""
    target = target_of(kind, request.GET.get("key", ""))
    items = items_of(kind, target.key, actor_of(request))
    if query := query_of(kind, target.key):
        items += items_for_messages(query)
    return render(request, "mailspool/menus/_menu.html", {"key": target.key, "items": items})


@require_GET
def messages_menu(request: HttpRequest) -> HttpResponse:
    """What can be done to all messages that a query of one of the lists means, and to their sender."""
    query, sender = request.GET.get("query", ""), request.GET.get("sender", "")
    try:
        what, items = items_of_list(request.GET.get("page", ""), query, actor_of(request))
    except BadFilter as error:
        raise Http404(str(error)) from error
    if sender:
        items += items_of("sender", target_of("sender", sender).key, actor_of(request))
    return render(request, "mailspool/menus/_menu.html", {"key": f"{what[:1].upper()}{what[1:]}", "items": items})


@require_POST
def dialog(request: HttpRequest, kind: str, name: str) -> HttpResponse:
    """What an action will do, to be agreed to."""
    target = named(request, kind, name)
    return _dialog(request, target, offered(request, target, name))


@require_POST
def act(request: HttpRequest, kind: str, name: str) -> HttpResponse:
    """Do it. What can't be done as asked comes back as the dialog, with the reason."""
    target = named(request, kind, name)
    action = offered(request, target, name)
    given = typed(action, request.POST)
    is_own = target.kind == "user" and target.key == getattr(request.user, "email", "")
    try:
        # Who changes the own password, or ends the own connections, stays in with this browser.
        done = perform(
            action,
            actor_of(request),
            target,
            {**given, "keep_session": request.session.session_key or ""} if is_own else given,
        )
    except (Refused, NotAllowed) as error:
        return _dialog(request, target, action, str(error))
    except ValidationError as error:
        return _dialog(request, target, action, " ".join(error.messages))
    if is_own:
        keep_logged_in(request, target.rows[0])
    answer = render(request, "mailspool/menus/_done.html", {"done": done, "undo": undo_of(done)})
    answer["HX-Trigger"] = "ms-done"
    return answer


def target_of(kind: str, key: str) -> Target:
    """The thing that a page names. Raises Http404."""
    target = registry.thing(kind, key) if 0 < len(key) <= LONGEST else None
    if target is None:
        raise Http404(_("There is no such thing."))
    return target


def named(request: HttpRequest, kind: str, name: str) -> Target:
    """What a page wants an action done to: one thing, or several where the action takes them. Raises Http404."""
    keys = list(dict.fromkeys(request.POST.getlist("key"))) or [""]
    action = registry.find(kind, name)
    if action is None or not action.takes_many:
        return target_of(kind, keys[-1])
    found = [target_of(kind, key) for key in keys[:MOST_KEYS]]
    return Target(kind, tuple(one.key for one in found), tuple(row for one in found for row in one.rows))


def offered(request: HttpRequest, target: Target, name: str) -> SingleAction[Any]:
    """An action that this person can do to such a thing, whether it would change anything now or not.

    Raises Http404.
    """
    action = registry.find(target.kind, name)
    if action is None or isinstance(action, Opening):
        raise Http404(_("This thing does not have that action."))
    actor = actor_of(request)
    # Of several it may suit none: that is said in its dialog.
    if not registry.is_offered(action, target, actor) and (len(target.keys) == 1 or not _may(action, actor, target)):
        raise Http404(_("This thing does not have that action."))
    return action


def _may(action: SingleAction[Any], actor: Actor, target: Target) -> bool:
    try:
        action.require(actor, target)
    except NotAllowed:
        return False
    return True


def undo_of(done: Done) -> dict[str, Any] | None:
    """The way back as a form: where it is sent, and what with."""
    if done.undo is None:
        return None
    values = [("key", key) for key in done.undo.target.keys]
    for name, value in done.undo.given.items():
        many = (value or [""]) if isinstance(value, list) else [value]
        values += [(f"{PREFIX}{name}", one) for one in many]
    return {"url": reverse("thing_act", args=[done.undo.target.kind, done.undo.action]), "values": values}


def _dialog(request: HttpRequest, target: Target, action: SingleAction[Any], error: str = "") -> HttpResponse:
    given = typed(action, request.POST)
    shown = fields(action, target, given)
    context: dict[str, Any] = {
        "action": action,
        "label": action.label_of(target),
        "target": target,
        "fields": shown,
        "hidden": [(f"{PREFIX}{name}", given[name]) for name in action.hidden if name in given],
        "error": error,
    }
    try:
        values = {one.name: value for one, value in shown} | given
        context["effect"] = preview(action, actor_of(request), target, values).effect
    except (Refused, NotAllowed) as refused:
        context["error"] = error or str(refused)
    return render(request, "mailspool/menus/_dialog.html", context)
