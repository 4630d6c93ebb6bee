"""An administrator in a user's place: who may, what is written down, and the way back. Built on django-hijack.

The session becomes the user's, with a login backend of its own that lets in also who is disabled: the point is to look
at an account that was closed. It belongs to the administrator: ending the user's sessions leaves it, ending the
administrator's ends it, and so does losing the administrator's role. What is done in it is written
down as done by both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, login
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseForbidden, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.csrf import csrf_protect
from hijack import signals, views

from accounts import history
from accounts.actor import Actor
from accounts.models import User, WebSession
from accounts.session_keys import IMPERSONATOR_KEY
from accounts.sign_in import session as sign_in
from base.actions.action import Opening, Target

BACKEND = "accounts.impersonation.ImpersonationBackend"
OWN_BACKEND = "django.contrib.auth.backends.ModelBackend"


class ImpersonationBackend(ModelBackend):
    """Never logs anybody in; keeps in a session who is in a user's place, whatever that user's status."""

    def authenticate(self, request: HttpRequest | None, *args: Any, **kwargs: Any) -> None:
        return None

    def user_can_authenticate(self, user: Any) -> bool:
        return True


class ManageUser(Opening[Actor]):
    """Takes the user's place, to see all that the user sees."""

    name, label, icon = "manage", _lazy("Manage User"), "switch_account"
    kinds = ("user",)

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()

    def suits(self, target: Target) -> bool:
        return not target.rows[0].is_staff

    def place(self, target: Target) -> str:
        return reverse("hijack:acquire")

    def posted(self, target: Target) -> dict[str, str]:
        return {"user_pk": str(target.rows[0].pk)}


MANAGE = ManageUser()


def may_impersonate(*, hijacker: User, hijacked: User) -> bool:
    """HIJACK_PERMISSION_CHECK: a system administrator, any user but those who work in the console."""
    return hijacker.is_active and hijacker.is_system_administrator and not hijacked.is_staff


class StillAllowed:
    """Middleware after authentication: who took a user's place and may not any more is out with the next request.

    Asked at each request, so that it holds however the right was lost: by a page, a command, an import.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if has_session and request.session.get(BACKEND_SESSION_KEY) == BACKEND:
            hijacked, hijacker = request.user, impersonator_of(request)
            if (
                hijacker is None
                or not isinstance(hijacked, User)
                or not may_impersonate(hijacker=hijacker, hijacked=hijacked)
            ):
                _put_out(request, hijacker, hijacked)
        return self._get_response(request)


def impersonator_of(request: HttpRequest) -> User | None:
    """The administrator behind a request that is made in a user's place."""
    session = request.session
    if session.get(BACKEND_SESSION_KEY) != BACKEND or IMPERSONATOR_KEY not in session:
        return None
    return User.objects.select_related("domain").filter(pk=session[IMPERSONATOR_KEY]).first()


def end_of(administrator: User) -> int:
    """End the sessions in which this person is in others' places; how many."""
    return WebSession.objects.filter(impersonator=administrator).delete()[0]


def _put_out(request: HttpRequest, hijacker: User | None, hijacked: Any) -> None:
    if hijacker is not None and isinstance(hijacked, User):
        ended = {"place": "ended", "by": hijacker.email}
        history.record(Actor.system(), "manage user", hijacked.email, user=hijacked, parameters=ended)
    request.session.flush()
    request.user = AnonymousUser()


def actor_of(request: HttpRequest) -> Actor:
    """Who acts by this request."""
    assert isinstance(request.user, User)
    behind = impersonator_of(request)
    return Actor.of(request.user, impersonator=behind.email if behind is not None else "")


class Acquire(views.AcquireUserView):
    """POST `user_pk`: take that user's place in the user site."""

    raise_exception = True
    success_url = "portal:home"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return HttpResponseForbidden(_("Log in first."))
        number = request.POST.get("user_pk", "")
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            return HttpResponseBadRequest("user_pk is the number of a user.")
        return super().dispatch(request, *args, **kwargs)  # type: ignore[no-any-return]

    @method_decorator(csrf_protect)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        hijacker, hijacked = request.user, self.get_object()
        assert isinstance(hijacker, User) and isinstance(hijacked, User)
        taken = {"place": "taken"}
        history.record(Actor.of(hijacker), "manage user", hijacked.email, user=hijacked, parameters=taken)
        _become(request, hijacked, BACKEND, [str(hijacker.pk)], hijacker.pk)
        signals.hijack_started.send(sender=None, request=request, hijacker=hijacker, hijacked=hijacked)
        return HttpResponseRedirect(self.get_success_url())


class Release(views.ReleaseUserView):
    """POST: be oneself again."""

    success_url = "admin:index"

    @method_decorator(csrf_protect)
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        hijacked, hijacker = request.user, impersonator_of(request)
        assert isinstance(hijacked, User)
        if hijacker is None or not may_impersonate(hijacker=hijacker, hijacked=hijacked):
            # Whoever lost the right meanwhile is nobody any more.
            request.session.flush()
            return HttpResponseRedirect(self.get_success_url())
        left = {"place": "left"}
        history.record(Actor.of(hijacker), "manage user", hijacked.email, user=hijacked, parameters=left)
        _become(request, hijacker, OWN_BACKEND, [], None)
        signals.hijack_ended.send(sender=None, request=request, hijacker=hijacker, hijacked=hijacked)
        return HttpResponseRedirect(self.get_success_url())


def _become(request: Any, user: User, backend: str, chain: list[str], impersonator: int | None) -> None:
    request.is_impersonating = True
    # It stays the session of the same person.
    has_second_factor = sign_in.has_second_factor(request.session)
    with signals.no_update_last_login(), views.keep_session_age(request.session):
        login(request, user, backend=backend)
    request.session["hijack_history"] = chain
    if has_second_factor:
        sign_in.note_second_factor(request.session)
    if impersonator is None:
        request.session.pop(IMPERSONATOR_KEY, None)
    else:
        request.session[IMPERSONATOR_KEY] = impersonator
