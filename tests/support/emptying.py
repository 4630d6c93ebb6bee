"""Emptying the database after a test that commits: what has rows, not each of sixty tables.

Django's own `flush` truncates all of them and then makes all content types and permissions again, which takes longer
than most tests.
"""

from __future__ import annotations

import functools
from typing import Any

from django.core.management.sql import emit_post_migrate_signal
from django.db import connection, transaction
from django.db.models.signals import post_migrate

# Always the same rows, which no test changes.
_KEPT = {"auth_permission", "django_content_type"}
# What a later test would have to read past, until PostgreSQL cleans up by itself.
_MANY_ROWS = 1000


def keep_content_types() -> None:
    """Have nothing make content types and permissions again from now on. Call it when the database has been made."""
    # The names under which Django's apps connected them; both look at each of fifty models, for every app.
    from django.contrib.auth.management import create_permissions
    from django.contrib.contenttypes.management import create_contenttypes

    post_migrate.disconnect(create_contenttypes)
    post_migrate.disconnect(create_permissions, dispatch_uid="django.contrib.auth.management.create_permissions")


def empty_database(case: Any = None) -> None:
    """Leave the database as migrations make it. Takes the place of TransactionTestCase._fixture_teardown."""
    tables = _tables()
    quoted = {table: connection.ops.quote_name(table) for table in tables}
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {quoted[table]})" for table in tables)
        )
        filled = [table for (table,) in cursor.fetchall()]
    large = []
    # Foreign keys are looked at when it commits, so the order is no matter.
    with transaction.atomic(), connection.cursor() as cursor:
        for table in filled:
            cursor.execute(f"DELETE FROM {quoted[table]}")
            if cursor.rowcount > _MANY_ROWS:
                large.append(quoted[table])
    if large and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM {', '.join(large)}")
    emit_post_migrate_signal(verbosity=0, interactive=False, db=connection.alias)


@functools.cache
def _tables() -> list[str]:
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return sorted(set(names) - _KEPT)
