"""Whoever works in the console gets to the pages that their role has, and to no others (accounts.reach)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.reach import opens

_REPLACED: Final = ("admin:index", "admin:login", "admin:password_change")


class ConsoleGate:
    """Middleware after authentication. The admin site itself asks only whether somebody `is_staff`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Raises PermissionDenied. Who has no place in the console at all is sent to its login, by the page itself."""
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.path.startswith(reverse("admin:index")):
            return
        user = request.user
        if not isinstance(user, User) or not user.is_staff or user.is_system_administrator:
            return
        if not opens(user, _name_of(request), request.method or ""):
            raise PermissionDenied(_("Your role does not reach that far: ask a system administrator."))


def _name_of(request: HttpRequest) -> str:
    """The page's, or the one of the admin site in whose place it stands (mailspool.urls)."""
    found = request.resolver_match
    if found is None or found.url_name:
        return found.view_name if found is not None else ""
    return next((name for name in _REPLACED if request.path == reverse(name)), "")
