"""A database's tables in words that can be compared: columns, defaults, indexes, constraints, in no order."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

# What a table consists of, one thing a line.
Schema = dict[str, set[str]]

# Casts and brackets of conditions are other ones after a dump and its restoration, and mean the same.
_ALIKE = re.compile(r"::(?:character varying|text)(?:\[\])?|[()]")
_COLUMNS = """
    SELECT relname, 'column ' || attname || ' ' || format_type(atttypid, atttypmod)
        || CASE WHEN attnotnull THEN ' not null' ELSE '' END
        || CASE attidentity WHEN '' THEN '' ELSE ' identity' END
        || coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_attribute a ON attrelid = pg_class.oid
    LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
    WHERE nspname = 'public' AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
"""
_INDEXES = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
_CONSTRAINTS = """
    SELECT relname, 'constraint ' || conname || ' ' || pg_get_constraintdef(c.oid)
    FROM pg_constraint c JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = 'public'
"""


def of_postgresql(url: str) -> Schema:
    """What the server says of its tables in the schema public."""
    found: Schema = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for query in (_COLUMNS, _INDEXES, _CONSTRAINTS):
            for table, words in connection.execute(query).fetchall():
                found.setdefault(table, set()).add(_ALIKE.sub("", words))
    return found


def of_sqlite(database: Path) -> Schema:
    """The statements that made the tables, in parts: a table that was altered names its columns in another order."""
    found: Schema = {}
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT tbl_name, type, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    for table, kind, statement in rows:
        if table == "sqlite_sequence":
            continue
        words = re.sub(r"\s+", " ", statement).strip()
        parts = _parts(words[words.index("(") + 1 : words.rindex(")")]) if kind == "table" else [words]
        found.setdefault(table, set()).update(parts)
    return found


def _parts(body: str) -> list[str]:
    """What stands between the commas that are in no brackets and no quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for place, letter in enumerate(body):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "," and not depth:
            parts.append(body[start:place].strip())
            start = place + 1
    return [*parts, body[start:].strip()]
