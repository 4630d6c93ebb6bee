"""The database: that it answers, that it keeps what it confirms, and that its tables are this version's."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.db import Error as DatabaseError
from django.db import connection

from base import schema
from mailspool.inspection.findings import Finding, fault, first_line, ok, warning

# Leases of several machines go by their clocks.
_SECONDS_APART = 2.0
# What must stand in PostgreSQL so that 250 means that the message is on its disk.
_DURABLE = {
    "fsync": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
    "full_page_writes": ("on",),
}


def database() -> Iterator[Finding]:
    """Whether it answers."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        yield fault("database", f"It can't be used: {first_line(error)}. Is it running, and is DATABASE_URL right?")
        return
    yield ok("database", f"{connection.display_name} answers.")
    if connection.vendor != "postgresql":
        return
    for name, right in _DURABLE.items():
        value = _shown(name)
        if value not in right:
            yield fault(
                "database", f"PostgreSQL has {name} = {value}: a power cut loses mail that was accepted. Set it to on."
            )
    if (encoding := _shown("server_encoding")) != "UTF8":
        yield fault(
            "database", f"Its encoding is {encoding}: make one by createdb --encoding UTF8 --template template0."
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        apart = abs(float(cursor.fetchone()[0]) - time.time())
    if apart > _SECONDS_APART:
        yield warning(
            "clock", f"PostgreSQL's clock and this machine's are {apart:.1f} s apart: have both kept right (NTP)."
        )


def tables() -> Iterator[Finding]:
    """Whether the schema is this version's."""
    found = schema.examine()
    if found.fault:
        yield fault("schema", found.fault)
    elif found.remark:
        yield warning("schema", found.remark)
    else:
        yield ok("schema", "The tables are this version's.")


def _shown(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])
