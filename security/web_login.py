"""The web's login: refused while it is closed, counted, and the page that says for how long it stays closed.

Passwords come by Django's backends and signals. What is shown besides (codes, passkeys, what a provider says) comes by
`is_closed` before it is looked at, and by `wrong` after it was wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from accounts.addresses import key_of
from security import login_protection
from security.login_protection import Closed
from security.models import Protocol
from spool.events import mail_log
from spool.monitoring import tally


class LoginProtection:
    """First of AUTHENTICATION_BACKENDS: stops a login that is closed before any password is looked at.

    It lets nobody in and is no BaseBackend: Django takes one that has `get_user` for where users come from.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        # What has no request comes from nowhere, and could not be counted.
        if request is None:
            raise PermissionDenied
        found = login_protection.closed(_login(request, credentials), _ip(request))
        _close(request, found)
        if found is not None:
            raise PermissionDenied


class ClosedLoginPage:
    """Innermost of MIDDLEWARE: answers a login that was closed with the page that says so, instead of the form."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        found = _closed(request)
        return response if found is None else _page(request, found)


def is_closed(request: HttpRequest, account: str) -> bool:
    """Whether this login is closed. The answer to the request then is the page that says so."""
    found = login_protection.closed(account, _ip(request))
    _close(request, found)
    if found is not None:
        _log(request, account, "closed")
    return found is not None


def wrong(request: HttpRequest, account: str, secret: str) -> None:
    """Count something wrong that was shown in the place of a password, or after one. May close the login."""
    _log(request, account, "failed")
    _close(request, login_protection.failed(account, _ip(request), secret, Protocol.WEB))


def announce(request: HttpRequest) -> None:
    """Call it before `login` where no password came with the request, so that it counts as a login of the user."""
    request.signs_in = True  # type: ignore[attr-defined]


def connect() -> None:
    """Called once, when the app is ready: Django says what became of each login."""
    user_login_failed.connect(_failed, dispatch_uid="login-protection-failed")
    user_logged_in.connect(_succeeded, dispatch_uid="login-protection-succeeded")


def _failed(sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    if request is None:
        return
    login, found = _login(request, credentials), _closed(request)
    _log(request, login, "failed" if found is None else "closed")
    if found is None:
        password = str(request.POST.get("password", ""))
        _close(request, login_protection.failed(login, _ip(request), password, Protocol.WEB))


def _succeeded(sender: object, request: HttpRequest | None, user: AbstractBaseUser, **kwargs: Any) -> None:
    # An administrator who looks at somebody else's pages has not logged in as them.
    if request is None:
        return
    if getattr(request, "signs_in", False) or _login(request) == user.get_username():
        login_protection.succeeded(user.get_username(), _ip(request))
        _log(request, user.get_username(), "ok")


def _page(request: HttpRequest, found: Closed) -> HttpResponse:
    """Says for how long, and how to open it sooner."""
    context = admin.site.each_context(request) | {"title": _("Too many attempts"), "minutes": found.minutes}
    answer = render(request, "security/locked_out.html", context, status=429)
    answer["Retry-After"] = str(found.minutes * 60)
    return answer


def _closed(request: HttpRequest) -> Closed | None:
    return getattr(request, "login_closed", None)


def _close(request: HttpRequest, found: Closed | None) -> None:
    request.login_closed = found  # type: ignore[attr-defined]


def _login(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Who tries to log in. Django's form calls it username, our users' field is email."""
    given = {**request.POST.dict(), **{str(name): value for name, value in (credentials or {}).items()}}
    return key_of(str(given.get("username") or given.get("email") or "").strip())[:254]


def _log(request: HttpRequest, login: str, result: str) -> None:
    """The same words as of a login by SMTP (spool.events.sessions)."""
    tally.login("web", result)
    mail_log.write("login", result=result, protocol="web", client=_ip(request), login=login)


def _ip(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))
