"""The tabs of throttling in the spool's section (SPOOL_CONSOLE_TABS)."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext_lazy as _lazy

from spool.console.tabs import Tab
from spool.filters import Count
from throttling import events
from throttling.subjects import DOMAIN_KINDS, USER_KINDS, SubjectKind


def _count(kinds: tuple[SubjectKind, ...]) -> Callable[[], Count]:
    return lambda: Count(events.now_throttled(kinds).count())


USERS = Tab(_lazy("Throttled Users"), "admin:throttling_throttleevent_users", _count(USER_KINDS))
DOMAINS = Tab(_lazy("Throttled Domains"), "admin:throttling_throttleevent_domains", _count(DOMAIN_KINDS))
