"""Web sessions: Django's database sessions in a table that also says whose they are (SESSION_ENGINE).

A session that is ended is a deleted row; every web process reads the row at each request, so it is over at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.connections.connection import Connection, Match
from accounts.session_keys import IMPERSONATOR_KEY

PROTOCOL = "Web"
ORIGIN_KEY = "mailspool_origin"
# How exactly it is known when a session was last used: a write for each request would be too many.
SEEN_PRECISION = timedelta(minutes=5)


class SessionStore(DatabaseStore):
    """Copies what lists need to know out of the session's data."""

    @classmethod
    def get_model_class(cls) -> Any:
        from accounts.models import WebSession

        return WebSession

    def cycle_key(self) -> None:
        # For a moment the old row is there beside the new one: it can't have the same name on pages.
        if origin := self.get(ORIGIN_KEY):
            self[ORIGIN_KEY] = {**origin, "id": str(uuid4())}
        super().cycle_key()

    def _get_session_from_db(self) -> Any:
        row: Any = super()._get_session_from_db()  # type: ignore[misc]
        now = timezone.now()
        if row is not None and row.user_id and (row.seen is None or now - row.seen > SEEN_PRECISION):
            self.get_model_class().objects.filter(pk=row.pk).update(seen=now)
        return row

    def create_model_instance(self, data: Mapping[str, Any]) -> Any:
        session: Any = super().create_model_instance(data)  # type: ignore[arg-type]
        origin = data.get(ORIGIN_KEY, {})
        session.user_id = data.get(SESSION_KEY) or None
        session.impersonator_id = data.get(IMPERSONATOR_KEY)
        session.ip, session.agent = origin.get("ip", ""), origin.get("agent", "")
        session.seen = timezone.now()
        session.since = parse_datetime(origin["since"]) if "since" in origin else None
        if "id" in origin:
            session.public_id = UUID(origin["id"])
        return session


def client_ip(request: HttpRequest) -> str:
    """Where a request comes from; the address is the client's also behind a proxy (mailspool.proxies)."""
    return str(request.META.get("REMOTE_ADDR", ""))[:45]


def agent_of(request: HttpRequest) -> str:
    """What the browser calls itself."""
    return request.headers.get("User-Agent", "")[:200]


def connections(match: Match, most: int) -> tuple[list[Connection], int]:
    """Up to `most` web sessions that fit, newest first, and how many fit."""
    rows = _chosen(match).select_related("user", "impersonator").order_by("-since")
    found = [_connection(row) for row in rows[: most + 1]]
    return found[:most], len(found) if len(found) <= most else rows.count()


def end(match: Match, *, keep: str = "") -> int:
    """End the sessions that fit, but for the one with the key `keep`; how many."""
    return _chosen(match).exclude(session_key=keep).delete()[0]


def _chosen(match: Match) -> QuerySet[Any]:
    rows = SessionStore.get_model_class().objects.filter(user__isnull=False, expire_date__gt=timezone.now())
    # Whoever is in a user's place is a person of their own: ending the user's sessions leaves that one.
    if match.users:
        own = Q(user__email__in=match.users, impersonator__isnull=True)
        rows = rows.filter(own | Q(impersonator__email__in=match.users))
    if match.domain:
        own = Q(user__domain__name=match.domain, impersonator__isnull=True)
        rows = rows.filter(own | Q(impersonator__domain__name=match.domain))
    if match.spared:
        # Whoever sits at the keyboard is spared, in whose place that may be.
        sits = Q(user__email__in=match.spared, impersonator__isnull=True)
        rows = rows.exclude(sits | Q(impersonator__email__in=match.spared))
    if match.ip:
        rows = rows.filter(ip=match.ip)
    if match.id:
        rows = rows.filter(public_id=_uuid(match.id))
    return rows


def _uuid(id: str) -> UUID | None:
    try:
        return UUID(id)
    except ValueError:
        return None


def _connection(row: Any) -> Connection:
    who = row.user.email
    detail = f"{row.impersonator.email} in this user's place" if row.impersonator else row.agent
    return Connection(str(row.public_id), PROTOCOL, who, row.ip, row.since, None, detail, row.seen)
