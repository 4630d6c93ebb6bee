"""Rows of the audit, made by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from base.audit.models import AuditEvent

NOW = timezone.now().replace(microsecond=123_456)


def an_event(minutes_ago: int = 0, *, at: datetime | None = None, **fields: Any) -> AuditEvent:
    given = {"actor": "root@example.org", "action": "delete", "on": "a.eml", "result": "done", "done": 1, **fields}
    return AuditEvent.objects.create(at=at or NOW - timedelta(minutes=minutes_ago), **given)


def many(number: int) -> None:
    """So many at once, as busy years leave them: 20 administrators, 50 actions, 5,000 users, and what is rare."""
    numbers = (
        f"generate_series(1, {number}) AS n"
        if connection.vendor == "postgresql"
        else f"(WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {number})"
        " SELECT n FROM numbers) AS numbers"
    )
    at = (
        "now() - n * interval '1 second'"
        if connection.vendor == "postgresql"
        else "strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || n || ' seconds')"
    )
    false = "false" if connection.vendor == "postgresql" else "0"
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO spool_auditevent (at, actor, source, ip, via, action, kind, key, row_id, "on", filter,'
            " parameters, matched, done, skipped, result, outcome, undone, is_part)"
            f" SELECT {at}, CASE (n % 1000) WHEN 7 THEN 'rare' ELSE 'admin' || (n % 20) END || '@example.org',"
            " CASE (n % 100) WHEN 0 THEN 'shell' ELSE 'page' END,"
            " '192.0.2.' || (n % 5000), 'admin:accounts_user_change',"
            " CASE (n % 1000) WHEN 7 THEN 'rare' ELSE 'action ' || (n % 50) END, 'user',"
            " 'user' || (n % 5000) || '@example.org', (n % 5000), 'user' || (n % 5000) || '@example.org', '{}', '{}',"
            f" 1, 1, 0, 'done', '', 0, {false} FROM {numbers}"
        )
        cursor.execute("ANALYZE")
