"""An entry and its recipients as two JSON columns of another table, and back: how they are kept out of the spool.

Such a table has the columns `id`, `entry_id`, `addresses`, `entry` and `recipients`, and others of its own. Everything
runs in the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Protocol

from django.db.models import Model

from spool.message.envelope import RecipientResult
from spool.message.summary import storable
from spool.models.entry import Entry
from spool.models.recipient import Outcome, Recipient
from spool.models.trace import Trace
from spool.rows import statements, traffic_batches
from spool.rows.columns import EntryRow, RecipientRow, columns_of


class Packed(Protocol):
    """A row that holds an entry."""

    file_name: str
    at: datetime
    entry: dict[str, Any]
    recipients: list[dict[str, Any]]


def pack(table: str, entry_id: int, values: Mapping[str, Any], copied: Sequence[str]) -> int:
    """Make a row of `table` of an entry, which stays where it is; its id.

    `values` are for columns of the table's own (moments as datetimes, lists and objects for JSON); what it has as the
    entry has it is `copied`.
    """
    given = {name: json.dumps(value) if isinstance(value, list | dict) else value for name, value in values.items()}
    marks = [
        "%s::jsonb" if isinstance(value, list | dict) and not statements.on_sqlite() else "%s"
        for value in values.values()
    ]
    selected = [
        "e.id",
        *marks,
        *(f"e.{name}" for name in copied),
        _addresses(),
        _as_json("e", EntryRow),
        _recipients_as_json(),
    ]
    row = statements.execute(
        f"INSERT INTO {table} ({', '.join(['entry_id', *values, *copied, 'addresses', 'entry', 'recipients'])})"
        f" SELECT {', '.join(selected)} FROM spool_entry e WHERE e.id = %s RETURNING id",
        [*map(_db_value, given.values()), entry_id],
    ).fetchone()
    return int(row[0])


def _addresses() -> str:
    """The addresses of its recipients as they are written, one per line."""
    together = "group_concat(r.address, char(10))"
    if not statements.on_sqlite():
        together = "string_agg(r.address, E'\\n' ORDER BY r.id)"
    return f"COALESCE((SELECT {together} FROM spool_recipient r WHERE r.entry_id = e.id), '')"


def _recipients_as_json() -> str:
    """Its recipients as a JSON array, in their order."""
    if not statements.on_sqlite():
        return (
            "COALESCE((SELECT jsonb_agg(to_jsonb(r) ORDER BY r.id) FROM spool_recipient r WHERE r.entry_id = e.id),"
            " '[]'::jsonb)"
        )
    return f"(SELECT json_group_array({_as_json('r', RecipientRow)}) FROM spool_recipient r WHERE r.entry_id = e.id)"


def unpack(table: str, ids: Sequence[int], now: datetime, changes: Mapping[str, Any]) -> None:
    """Insert the entries of those rows of `table` as they were, under nobody's lease and due by now.

    `changes` are other values for some of the entry's columns (moments as datetimes).
    """
    clause, parameters = statements.id_list(ids)
    patch = json.dumps({name: _json_value(value) for name, value in changes.items()})
    if statements.on_sqlite():
        _unpack_sqlite(table, clause, parameters, now, patch)
    else:
        _unpack_postgresql(table, clause, parameters, now, patch)


def note_delivered(row: Packed, results: Sequence[RecipientResult], outcome: Outcome, now: datetime) -> bool:
    """Recipients who had the message after all, when its worker answers late: they must not get it again.

    `outcome` is what their traces say now. Whether anything of `row` was changed; the caller saves it.
    """
    by_id = {result.recipient.id: result for result in results}
    ended: list[traffic_batches.Ending] = []
    for recipient in row.recipients:
        result = by_id.get(recipient["id"])
        if result is None or recipient["status"] != Outcome.PENDING:
            continue
        reply, host = storable(result.reply, 500), storable(result.host, 255)
        recipient |= {"status": Outcome.DELIVERED.value, "last_reply": reply, "last_host": host}
        row.entry["recipients_done"] += 1
        Trace.objects.filter(
            file_name=row.file_name, recipient=recipient["address"], outcome=outcome, ended=row.at
        ).update(outcome=Outcome.DELIVERED, reply=reply, host=host)
        ended.append(
            (
                Outcome.DELIVERED.value,
                recipient["kind"],
                row.entry["sender"],
                row.entry["client_ip"],
                recipient["address"],
                row.entry["created"],
            )
        )
    if ended:
        traffic_batches.endings(ended, now)
    return bool(ended)


@cache
def _defaults(model: type[Model]) -> str:
    """What columns begin with, as JSON: a row that was packed before one was there says nothing of it."""
    return json.dumps(
        {
            field.column: field.get_default() if field.has_default() else field.db_default
            for field in model._meta.concrete_fields
            if not field.null and (field.has_default() or field.has_db_default())
        }
    )


def _unpack_postgresql(table: str, clause: str, parameters: Sequence[Any], now: datetime, patch: str) -> None:
    statements.execute(
        "INSERT INTO spool_entry SELECT e.* FROM"
        f" (SELECT id, %s::jsonb || entry || %s::jsonb AS entry FROM {table} WHERE id {clause}) t,"
        " LATERAL jsonb_populate_record(NULL::spool_entry,"
        " t.entry || jsonb_build_object('leased_by', '', 'status', CASE WHEN t.entry->>'status' IN ('local', 'remote')"
        " THEN 'waiting' ELSE t.entry->>'status' END, 'turn_at', NULL,"
        " 'due_at', CASE WHEN (t.entry->>'hold')::boolean THEN NULL ELSE"
        " GREATEST(COALESCE((t.entry->>'next_attempt')::timestamptz, %s), %s) END)) AS e ORDER BY t.id",
        [_defaults(Entry), patch, *parameters, now, now],
    )
    statements.execute(
        f"INSERT INTO spool_recipient SELECT r.* FROM {table} t, LATERAL jsonb_array_elements(t.recipients) AS packed,"
        f" LATERAL jsonb_populate_record(NULL::spool_recipient, %s::jsonb || packed) AS r WHERE t.id {clause}"
        " ORDER BY r.id",
        [_defaults(Recipient), *parameters],
    )


def _unpack_sqlite(table: str, clause: str, parameters: Sequence[Any], now: datetime, patch: str) -> None:
    moment = statements.db_time(now)
    columns = columns_of(EntryRow)
    changed = {
        "leased_by": "''",
        "status": "CASE WHEN json_extract(entry, '$.status') IN ('local', 'remote') THEN 'waiting'"
        " ELSE json_extract(entry, '$.status') END",
        "turn_at": "NULL",
        "due_at": "CASE WHEN json_extract(entry, '$.hold') THEN NULL"
        " ELSE MAX(COALESCE(json_extract(entry, '$.next_attempt'), %s), %s) END",
    }
    values = ", ".join(changed.get(name, f"json_extract(entry, '$.{name}')") for name in columns)
    statements.execute(
        f"INSERT INTO spool_entry ({', '.join(columns)}) SELECT {values}"
        f" FROM (SELECT json_patch(json_patch(%s, entry), %s) AS entry FROM {table} WHERE id {clause})",
        [moment, moment, _defaults(Entry), patch, *parameters],
    )
    columns = columns_of(RecipientRow)
    values = ", ".join(f"json_extract(recipient, '$.{name}')" for name in columns)
    statements.execute(
        f"INSERT INTO spool_recipient ({', '.join(columns)}) SELECT {values}"
        f" FROM (SELECT json_patch(%s, r.value) AS recipient FROM {table} t, json_each(t.recipients) r"
        f" WHERE t.id {clause})",
        [_defaults(Recipient), *parameters],
    )


def _json_value(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    moment = statements.db_time(value)
    return moment.isoformat() if isinstance(moment, datetime) else moment


def _db_value(value: Any) -> Any:
    return statements.db_time(value) if isinstance(value, datetime) else value


def _as_json(alias: str, row: type) -> str:
    if not statements.on_sqlite():
        return f"to_jsonb({alias})"
    pairs = ", ".join(f"'{name}', {alias}.{name}" for name in columns_of(row))
    return f"json_object({pairs})"
