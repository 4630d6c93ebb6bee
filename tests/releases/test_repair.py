"""Installations of before the first migrations stopped being edited: one table too few is mended, more is refused."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from base import schema
from mailspool import schema_repair
from mailspool.preflight import CannotStart
from spool.models import MTASTSPolicy

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_table_that_an_applied_migration_should_have_made_is_made() -> None:
    indexes = sorted(constraints_of("spool_mtastspolicy"))
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE spool_mtastspolicy")

    schema_repair.mend()

    assert schema.examine() == schema.Schema()
    assert sorted(constraints_of("spool_mtastspolicy")) == indexes
    assert not MTASTSPolicy.objects.exists()


def test_a_column_that_is_missing_is_refused_before_anything_is_changed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE spool_mtastspolicy")
        cursor.execute("ALTER TABLE spool_route RENAME COLUMN kind TO manner")
    try:
        with pytest.raises(CannotStart, match=r"today: spool_route\.kind, spool_route\.manner\. A development version"):
            schema_repair.mend()
        assert "spool_mtastspolicy" in schema.examine().lacking
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE spool_route RENAME COLUMN manner TO kind")
        schema_repair.mend()


def test_nothing_is_made_anew_where_a_newer_version_has_been() -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_applied("spool", "9999_of_a_future_version")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE spool_mtastspolicy")
    try:
        schema_repair.mend()
        assert schema.examine().lacking == ("spool_mtastspolicy",)
    finally:
        recorder.record_unapplied("spool", "9999_of_a_future_version")
        schema_repair.mend()


def constraints_of(table: str) -> dict[str, object]:
    with connection.cursor() as cursor:
        return dict(connection.introspection.get_constraints(cursor, table))
