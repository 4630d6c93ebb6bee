"""From a right first factor to a session: what is asked next, and where it leads."""

from __future__ import annotations

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.impersonation import OWN_BACKEND
from accounts.models import User
from accounts.sign_in import factors, session
from security import web_login


def go_on(request: HttpRequest, user: User, next_url: str, *, is_second_factor: bool = False) -> HttpResponse:
    """The first factor was right. Whoever has a second one is asked for it, unless this was as good as two."""
    if not is_second_factor and factors.kinds_of(user):
        session.begin(request, user, OWN_BACKEND, destination(request, user, next_url))
        return HttpResponseRedirect(reverse("portal:second_factor"))
    return finish(request, user, next_url, with_second_factor=is_second_factor)


def finish(request: HttpRequest, user: User, next_url: str, *, with_second_factor: bool) -> HttpResponse:
    """All was right: the session is the user's."""
    session.end(request)
    web_login.announce(request)
    login(request, user, backend=OWN_BACKEND)
    # What waited for a second factor was to be over soon.
    request.session.set_expiry(None)
    if with_second_factor:
        session.note_second_factor(request.session)
    elif factors.is_required(user):
        session.note_need(request.session)
    return HttpResponseRedirect(destination(request, user, next_url))


def destination(request: HttpRequest, user: User, next_url: str) -> str:
    """The page that was asked for, if it is one of ours and this person's, or else where this person begins."""
    is_ours = url_has_allowed_host_and_scheme(next_url, {request.get_host()}, require_https=request.is_secure())
    console = reverse("admin:index")
    is_login = next_url.partition("?")[0] in (reverse("admin:login"), reverse("portal:login"))
    if is_ours and not is_login and (user.is_staff or not next_url.startswith(console)):
        return next_url
    at_console = request.path.startswith(console)
    return console if user.is_staff and at_console else reverse("portal:home")


def wanted(request: HttpRequest) -> str:
    """The page that was asked for, as the request names it; checked where it leads (`destination`).

    At the console's login that is the console, whichever way somebody goes from there.
    """
    console = reverse("admin:index")
    named = request.POST.get("next", request.GET.get("next", ""))
    return named or (console if request.path.startswith(console) else "")
