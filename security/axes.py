"""AXES_HANDLER: django-axes watches the login of the web, and counts as the rest of Mailspool does."""

from __future__ import annotations

from typing import Any

from axes.handlers.base import AxesHandler
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from security import login_protection
from security.locked_out import name_of
from security.models import Protocol
from spool.events import mail_log
from spool.monitoring import tally


class LoginProtection(AxesHandler):
    """Asked by axes' backend before a password is looked at, and told by Django's signals what became of it."""

    def is_allowed(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        found = login_protection.closed(name_of(request, credentials), _ip(request))
        request.login_closed = found  # type: ignore[attr-defined]
        return found is None

    def user_login_failed(
        self, sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        if request is None:
            return
        found = getattr(request, "login_closed", None)
        _log(request, name_of(request, credentials), "failed" if found is None else "closed")
        if found is None:
            password = str(request.POST.get("password", ""))
            found = login_protection.failed(name_of(request, credentials), _ip(request), password, Protocol.WEB)
        if found is not None:
            request.login_closed = found  # type: ignore[attr-defined]
            # Axes' middleware answers with the page that says so.
            request.axes_locked_out = True  # type: ignore[attr-defined]
            request.axes_credentials = credentials  # type: ignore[attr-defined]

    def user_logged_in(self, sender: object, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> None:
        # An administrator who looks at somebody else's pages has not logged in as them.
        if request is not None and name_of(request) == user.get_username():
            login_protection.succeeded(user.get_username(), _ip(request))
            _log(request, user.get_username(), "ok")

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        return 0


def _log(request: HttpRequest, login: str, result: str) -> None:
    """The same words as of a login by SMTP (spool.events.sessions)."""
    tally.login("web", result)
    mail_log.write("login", result=result, protocol="web", client=_ip(request), login=login)


def _ip(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))
