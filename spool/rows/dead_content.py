"""The room that content takes in PostgreSQL after it has gone, until a vacuum gives it to what comes.

PostgreSQL looks once a minute whether a table wants one (autovacuum_naptime), and in a minute the content of thousands
of messages comes and goes. SQLite uses free pages at once.
"""

from __future__ import annotations

from typing import Final

from django.db import connection

from spool.rows import statements

_TABLES: Final = ("spool_content", "spool_contentpart")
# PostgreSQL keeps what is longer than two thousand bytes in pieces of that length, in a table beside the row's.
_PIECE_BYTES: Final = 2_000
_LEAST_BYTES: Final = 2_000_000
# A vacuum goes through what is new since the last one and, at times, through all of an index: in large tables that is
# left to PostgreSQL.
_LARGEST_BYTES: Final = 2_000_000_000
_FIGURES: Final = """
    SELECT own.relname, (own.n_dead_tup + COALESCE(long.n_dead_tup, 0)) * %s,
           (own.n_live_tup + COALESCE(long.n_live_tup, 0)) * %s
    FROM pg_stat_user_tables own JOIN pg_class ON pg_class.oid = own.relid
    LEFT JOIN pg_stat_all_tables long ON long.relid = pg_class.reltoastrelid
    WHERE own.relid IN ({tables}) AND pg_total_relation_size(own.relid) < %s
"""


def vacuum() -> list[str]:
    """Vacuum each table whose dead rows take more than its others; the names of those. Not within a transaction.

    One that is being vacuumed already is passed by. Raises django.db.Error.
    """
    if statements.on_sqlite():
        return []
    tables = ", ".join(f"to_regclass('{table}')" for table in _TABLES)
    with connection.cursor() as cursor:
        cursor.execute(_FIGURES.format(tables=tables), [_PIECE_BYTES, _PIECE_BYTES, _LARGEST_BYTES])
        wanted = [table for table, dead, live in cursor.fetchall() if dead > max(_LEAST_BYTES, live / 4)]
        for table in wanted:
            cursor.execute(f"VACUUM (SKIP_LOCKED) {table}")
    return wanted
