"""Who asks at the pages for monitors: this machine, who has the token, an administrator, or a stranger."""

from __future__ import annotations

import hmac
import ipaddress

from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest

# With one of these a request came through a proxy, and the proxy's address says nothing about the client.
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


def is_known(request: HttpRequest) -> bool:
    """Whether the request comes from this machine itself or carries MAILSPOOL_METRICS_TOKEN. Asks no database."""
    token = settings.MAILSPOOL_METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token and hmac.compare_digest(given.encode(), token.encode()):
        return True
    return _is_loopback(request.META.get("REMOTE_ADDR", "")) and not any(name in request.META for name in _FORWARDED)


def may_see(request: HttpRequest) -> bool:
    """Whether how this installation is, is the visitor's business: system administrators' too. While the database is
    away nobody is known by a login.
    """
    if is_known(request):
        return True
    try:
        user = request.user
        return user.is_authenticated and user.is_active and user.is_system_administrator
    except DatabaseError:
        return False


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
