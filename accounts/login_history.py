"""Remembering logins: who, by which protocol, from where. Counted by day, and written many at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import OuterRef, QuerySet, Subquery

from accounts.models import Login, User


@dataclass(frozen=True, slots=True)
class Origin:
    """What one row counts."""

    user_id: int
    protocol: str
    ip: str
    day: date


@dataclass(slots=True)
class Seen:
    """How often, and when, since it was last written."""

    first: datetime
    last: datetime
    count: int = 1
    agent: str = ""


class Pending:
    """Logins of this process that are not written yet. One thread notes, another may take."""

    def __init__(self) -> None:
        self._seen: dict[Origin, Seen] = {}

    def note(self, user_id: int, protocol: str, ip: str, now: datetime, agent: str = "") -> None:
        """One login; costs a look into a dictionary."""
        origin = Origin(user_id, protocol, ip, now.date())
        seen = self._seen.get(origin)
        if seen is None:
            self._seen[origin] = Seen(now, now, 1, agent)
        else:
            seen.last, seen.count = now, seen.count + 1

    def take(self) -> dict[Origin, Seen]:
        """All of them; they are the caller's to write now."""
        taken, self._seen = self._seen, {}
        return taken

    def put_back(self, seen: Mapping[Origin, Seen]) -> None:
        """What could not be written is tried again with what came meanwhile."""
        for origin, old in seen.items():
            new = self._seen.get(origin)
            if new is None:
                self._seen[origin] = old
            else:
                new.first, new.count = old.first, new.count + old.count


@dataclass(frozen=True, slots=True)
class LastLogin:
    """When somebody was last let in, and by which protocol; `at` is None for who never was."""

    at: datetime | None
    protocol: str


def with_last_logins(users: QuerySet[User]) -> QuerySet[User]:
    """Users who can be asked for `last_login` without a query each."""
    latest = Login.objects.filter(user=OuterRef("pk")).order_by("-last")
    return users.annotate(
        seen_last=Subquery(latest.values("last")[:1]), seen_by=Subquery(latest.values("protocol")[:1])
    )


def last_login(user: User) -> LastLogin:
    """By any protocol. `User.last_login` is of the web alone; it is older than what is remembered of logins here."""
    if hasattr(user, "seen_last"):
        at, protocol = user.seen_last, getattr(user, "seen_by", "")
    else:
        row = Login.objects.filter(user=user).order_by("-last").values_list("last", "protocol").first()
        at, protocol = row or (None, "")
    if at is None or (user.last_login is not None and user.last_login > at):
        return LastLogin(user.last_login, "Web" if user.last_login else "")
    return LastLogin(at, protocol)


def write(seen: Mapping[Origin, Seen]) -> None:
    """Add to the rows, in one transaction. Raises django.db.Error."""
    table = Login._meta.db_table
    rows = [
        (o.user_id, o.protocol, o.ip, o.day, s.first, s.last, s.count, s.agent[:200])
        # In one order, so that two processes don't wait for each other in a circle.
        for o, s in sorted(seen.items(), key=lambda item: (item[0].user_id, item[0].protocol, item[0].ip, item[0].day))
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} (user_id, protocol, ip, day, first, last, count, agent)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (user_id, protocol, ip, day) DO UPDATE"
            f" SET last = excluded.last, count = {table}.count + excluded.count, agent = excluded.agent",
            [tuple(_adapted(value) for value in row) for row in rows],
        )


def _adapted(value: Any) -> Any:
    """Dates and times as the ORM writes them, so that rows of both kinds compare."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, date):
        return connection.ops.adapt_datefield_value(value)
    return value
