"""The row classes are the tables' columns, and what derives from them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
from django.db import models

import spool
from spool.message.envelope import LeasedColumns, LeasedRecipient
from spool.models import Attempt, Entry, Recipient, Trace
from spool.rows.columns import AttemptRow, EntryRow, RecipientRow, TraceRow, columns_of, inserted, picker, values_of


@pytest.mark.parametrize(
    ("row", "model"), [(EntryRow, Entry), (RecipientRow, Recipient), (AttemptRow, Attempt), (TraceRow, Trace)]
)
def test_a_row_has_the_columns_of_its_table(row: type, model: type[models.Model]) -> None:
    assert sorted(columns_of(row)) == sorted(field.column for field in model._meta.concrete_fields)


def test_a_worker_gets_columns_of_the_entry() -> None:
    known = get_type_hints(EntryRow)
    got = {name: kind for name, kind in get_type_hints(LeasedColumns).items() if name != "created"}
    assert got == {name: known[name] for name in got}
    assert "created" in known


def test_an_open_recipient_has_columns_of_the_table() -> None:
    assert {field.name for field in fields(LeasedRecipient)} <= set(columns_of(RecipientRow))


def test_the_tables_of_messages_are_spelt_in_one_package() -> None:
    root = Path(spool.__file__).parent.parent
    spelt = re.compile(r"(?<!admin:)\bspool_(?:entry|recipient|attempt|trace|trashed|trashedrecipient)(?:\b|_id_seq)")
    found = []
    for room in ("accounts", "base", "mailspool", "quarantine", "security", "spool", "throttling"):
        for path in sorted((root / room).rglob("*.py")):
            if "migrations" in path.parts or path.parent == root / "spool" / "rows":
                continue
            lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            found += [f"{path}:{number}: {line.strip()}" for number, line in lines if spelt.search(line)]
    assert found == []


def test_values_are_in_the_order_of_the_columns_however_they_are_given() -> None:
    values = values_of(AttemptRow)(
        seconds=0.5,
        reply="250 ok",
        code=250,
        tls="",
        ip="192.0.2.1",
        host="mx",
        recipients="a@b",
        at="now",
        file_name="x.eml",
    )
    assert dict(zip(inserted(AttemptRow), values, strict=True)) == {
        "file_name": "x.eml",
        "at": "now",
        "recipients": "a@b",
        "host": "mx",
        "ip": "192.0.2.1",
        "tls": "",
        "code": 250,
        "reply": "250 ok",
        "seconds": 0.5,
    }
    assert picker(AttemptRow, "code", "file_name")(values) == (250, "x.eml")


def test_a_row_without_one_of_its_columns_is_refused() -> None:
    with pytest.raises(TypeError, match="original_key"):
        values_of(RecipientRow)(  # type: ignore[call-arg]
            entry_id=1,
            address="a@b",
            domain="b",
            kind="local",
            status="pending",
            original="",
            notify="",
            orcpt="",
            address_key=None,
        )
