"""Who is one of us: clients that may send anywhere without a login, and the mail that is ours and not a stranger's.

Which clients those are is for another app to say (SPOOL_TRUSTED_CLIENTS).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from django.conf import settings
from django.utils.module_loading import import_string

from spool.message.envelope import LeasedEntry
from spool.models.entry import Origin
from spool.models.recipient import Kind

# Doors of this machine: no stranger comes in by them.
_DOORS: Final = frozenset((Origin.DROP.value, Origin.COMMAND.value, Origin.DSN.value))


def trusts(ip: str) -> bool:
    """Whether hosts at `ip` may send anywhere without a login. In a listener it never waits."""
    return _named()(ip)


def is_ours(entry: LeasedEntry) -> bool:
    """Whether a message comes from one of us: who logged in, a trusted client, the drop folder, a command.

    What becomes of such mail, as a forward or a copy of a list, is ours too; of a stranger's mail it never is.
    """
    known = is_surely_ours(entry)
    return trusts(entry.client_ip) if known is None else known


def is_surely_ours(entry: LeasedEntry) -> bool | None:
    """The same as far as the entry tells it: None when its client has to be looked up."""
    known = _told(entry.ours, entry.auth_user, entry.origin)
    if known is None and all(one.kind is Kind.REMOTE and not one.original for one in entry.recipients):
        # From before entries said so. A stranger's could not have been meant for elsewhere.
        return True
    return known


def says_ours(entry: LeasedEntry) -> bool:
    """Whether the entry itself says that it is from one of us: nothing is looked up, so an event loop may ask."""
    return bool(_told(entry.ours, entry.auth_user, entry.origin))


def was_ours(ours: bool | None, auth_user: str, origin: str, client_ip: str) -> bool:
    """The same of a message that has left the spool."""
    known = _told(ours, auth_user, origin)
    return trusts(client_ip) if known is None else known


def _told(ours: bool | None, auth_user: str, origin: str) -> bool | None:
    if ours is not None:
        return ours
    return True if auth_user or origin in _DOORS else None


@cache
def _named() -> Callable[[str], bool]:
    path: str = settings.SPOOL_TRUSTED_CLIENTS
    if not path:
        return lambda ip: False
    named: Callable[[str], bool] = import_string(path)
    return named
