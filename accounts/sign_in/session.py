"""What a web session knows of how its owner has signed in: with a second factor or not, and when that was last proved.

`recent_enough` is what dangerous steps ask; who is not sent to the page that asks anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.dateparse import parse_datetime

from accounts.models import User
from accounts.session_keys import IMPERSONATOR_KEY

# For how long a proof of who sits there holds for dangerous steps.
RECENT = timedelta(minutes=15)
# How long somebody may look for their phone after the password was right.
PENDING = timedelta(minutes=10)
_PROVED_KEY = "mailspool_proved"
_FACTOR_KEY = "mailspool_second_factor"
_NEED_KEY = "mailspool_needs_second_factor"
_PENDING_KEY = "mailspool_pending"


def recent_enough(request: HttpRequest) -> bool:
    """Whether whoever sits there has proved lately to be the owner of the session. Never in another's place."""
    if IMPERSONATOR_KEY in request.session:
        return False
    proved = parse_datetime(str(request.session.get(_PROVED_KEY, "")))
    return proved is not None and timedelta(0) <= timezone.now() - proved <= RECENT


def note_proof(session: SessionBase, now: datetime) -> None:
    """The owner has just signed in, or done so anew."""
    session[_PROVED_KEY] = now.isoformat()


def note_second_factor(session: SessionBase) -> None:
    """A second factor was shown in this session, or what counts as one."""
    session[_FACTOR_KEY] = True
    session.pop(_NEED_KEY, None)


def note_need(session: SessionBase) -> None:
    """The session began without a second factor, and its owner's role needs one."""
    session[_NEED_KEY] = True


def needs_second_factor(session: SessionBase) -> bool:
    """Whether it still does. No query: every page asks."""
    return bool(session.get(_NEED_KEY))


def has_second_factor(session: SessionBase) -> bool:
    """Whether one was."""
    return bool(session.get(_FACTOR_KEY))


def begin(request: HttpRequest, user: User, backend: str, next_url: str) -> None:
    """The first factor was right: keep who that is, until the second was. Nothing opens by this.

    The session gets another key, so that nobody else's is gone on with.
    """
    request.session.flush()
    request.session[_PENDING_KEY] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "backend": backend,
        "next": next_url,
        "at": timezone.now().isoformat(),
    }
    request.session.set_expiry(PENDING)


def pending(request: HttpRequest) -> tuple[User, dict[str, Any]] | None:
    """Who has shown a right password in this session not long ago, which is still right, and may log in."""
    kept = request.session.get(_PENDING_KEY)
    if kept is None:
        return None
    began = parse_datetime(kept["at"])
    if began is None or timezone.now() - began > PENDING:
        end(request)
        return None
    user = User.objects.select_related("domain").filter(pk=kept["user"]).first()
    if user is None or not user.is_active or not constant_time_compare(kept["hash"], user.get_session_auth_hash()):
        end(request)
        return None
    return user, kept


def end(request: HttpRequest) -> None:
    """Forget the first half of a sign-in."""
    request.session.pop(_PENDING_KEY, None)
