"""MTA-STS policies in the database, so that workers that start don't believe a DNS that hides them (RFC 8461 5.1)."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.utils import timezone

from spool.models.mta_sts import MTASTSPolicy
from spool.rows import statements

# As many as a worker reads when it starts; of more, those that last longest.
MOST_READ = 5_000


def read() -> list[MTASTSPolicy]:
    """The policies that still hold. For a thread that uses the database seldom. Raises django.db.Error."""
    try:
        return list(MTASTSPolicy.objects.filter(expires__gt=timezone.now()).order_by("-expires")[:MOST_READ])
    finally:
        connection.close()


def write(domain: str, record_id: str, mode: str, mx: tuple[str, ...], seconds: float) -> None:
    """Put a policy in the place of the domain's last one. As `read`. Raises django.db.Error."""
    row = MTASTSPolicy(
        domain=domain, record_id=record_id, mode=mode, mx=list(mx), expires=timezone.now() + timedelta(seconds=seconds)
    )
    try:
        with statements.write_transaction():
            MTASTSPolicy.objects.bulk_create(
                [row],
                update_conflicts=True,
                unique_fields=["domain"],
                update_fields=["record_id", "mode", "mx", "expires"],
            )
    finally:
        connection.close()
