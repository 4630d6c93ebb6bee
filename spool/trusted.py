"""Clients that may send anywhere without a login: who they are is for another app to say (SPOOL_TRUSTED_CLIENTS)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string


def trusts(ip: str) -> bool:
    """Whether hosts at `ip` may send anywhere without a login. In a listener it never waits."""
    return _named()(ip)


@cache
def _named() -> Callable[[str], bool]:
    path: str = settings.SPOOL_TRUSTED_CLIENTS
    if not path:
        return lambda ip: False
    named: Callable[[str], bool] = import_string(path)
    return named
