"""The row classes are the tables' columns, and what derives from them."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
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
    moments = {"created", "release_at"}
    got = {name: kind for name, kind in get_type_hints(LeasedColumns).items() if name not in moments}
    assert got == {name: known[name] for name in got}
    assert moments <= known.keys()


def test_an_open_recipient_has_columns_of_the_table() -> None:
    assert {field.name for field in fields(LeasedRecipient)} <= set(columns_of(RecipientRow))


ROOT = Path(spool.__file__).parent.parent
ROWS = ROOT / "spool" / "rows"
TABLES = (
    "entry|recipient|content|attempt|trace|trashed|trashedrecipient|trafficbatch|trafficcount|traffictotal"
    "|trafficseries|trafficstate"
)
SQL = re.compile(r"%s|\b(?:SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|AND|OR|NOT|SET|CASE|EXISTS|NULL|ORDER BY)\b")


def modules_outside_rows() -> Iterator[tuple[Path, str]]:
    for room in ("accounts", "base", "mailspool", "quarantine", "security", "spool", "throttling"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts and path.parent != ROWS:
                yield path, path.read_text(encoding="utf-8")


def test_the_tables_of_messages_are_spelt_in_one_package() -> None:
    spelt = re.compile(rf"(?<!admin:)\bspool_(?:{TABLES})(?:\b|_id_seq)")
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in modules_outside_rows()
        for number, line in enumerate(text.splitlines(), 1)
        if spelt.search(line)
    ]
    assert found == []


def test_no_piece_of_sql_goes_into_that_package_or_comes_out_of_it() -> None:
    """But by spool.rows.statements, which is how any statement reaches the database."""
    pieces = sql_constants()
    found = []
    for path, text in modules_outside_rows():
        if "spool.rows" in text:
            tree = ast.parse(text)
            calls, taken = taken_from_rows(tree)
            found += [f"{path}: {name} is a piece of SQL" for name in sorted(taken & pieces)]
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in calls:
                    found += [f"{path}:{node.lineno}: {piece!r}" for piece in texts_of(node) if SQL.search(piece)]
    assert found == []


def test_no_function_of_that_package_takes_sql() -> None:
    said = {"clause", "condition", "expression", "expressions", "fragment", "only", "sql", "statement", "where"}
    found = []
    for path in sorted(ROWS.glob("*.py")):
        if path.stem == "statements":
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                taken = {one.arg for one in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]}
                found += [f"{path.stem}.{node.name}({name})" for name in sorted(taken & said)]
    assert found == []


def sql_constants() -> set[str]:
    """The names in spool.rows that are SQL."""
    found = set()
    for path in ROWS.glob("*.py"):
        if path.stem not in ("__init__", "statements"):
            module = importlib.import_module(f"spool.rows.{path.stem}")
            named = {name: value for name, value in vars(module).items() if isinstance(value, str)}
            found |= {f"{path.stem}.{name}" for name, value in named.items() if name[0] != "_" and SQL.search(value)}
    return found


def taken_from_rows(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The ways in which a module calls functions of spool.rows, and the names that it uses of it, as `module.name`."""
    calls, taken, modules = set(), set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "spool.rows":
            modules |= {one.asname or one.name: one.name for one in node.names if one.name != "statements"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spool.rows."):
            room = (node.module or "").rpartition(".")[2]
            taken |= {f"{room}.{one.name}" for one in node.names}
            calls |= {one.asname or one.name for one in node.names if room != "statements"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            taken.add(f"{modules[node.value.id]}.{node.attr}")
            calls.add(f"{node.value.id}.{node.attr}")
    return calls, taken


def texts_of(call: ast.Call) -> Iterator[str]:
    """The texts that stand in what is passed."""
    for given in [*call.args, *(keyword.value for keyword in call.keywords)]:
        for node in ast.walk(given):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_scans_see_what_they_look_for() -> None:
    text = "from spool.rows import changes as rows, lease\nrows.hold(ids, f'a = %s AND {x}', lease.AT)\n"
    tree = ast.parse(text)
    assert taken_from_rows(tree) == ({"rows.hold", "lease.AT"}, {"changes.hold", "lease.AT"})
    [call] = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [piece for piece in texts_of(call) if SQL.search(piece)] == ["a = %s AND "]
    assert "entries.AT_REST" in sql_constants()


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
        "machine": "",
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
