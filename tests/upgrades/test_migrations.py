"""A migration that has landed is never edited, and a new one lets the version before go on working."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

from tests.upgrades import landed, safety
from tests.upgrades.dumped import DUMPS

OURS = {path.split("/")[-3] for path in landed.present()}


def test_what_has_landed_is_as_it_was() -> None:
    present = landed.present()

    changed = [path for path, digest in landed.listed().items() if present.get(path) != digest]

    assert changed == [], "Installations have applied these: take the change back, and make a new migration of it."


@pytest.mark.parametrize("dump", sorted(DUMPS.iterdir()), ids=lambda path: path.name)
def test_what_a_release_has_applied_is_listed(dump: Any) -> None:
    text = gzip.decompress((dump / "sqlite.sql.gz").read_bytes()).decode()
    applied = re.findall(r'INSERT INTO "django_migrations" VALUES\(\d+,\'(\w+)\',\'(\w+)\'', text)

    missing = {f"{app}/migrations/{name}.py" for app, name in applied if app in OURS} - set(landed.listed())

    assert applied and missing == set(), "python -m tests.upgrades.landed, with the release's own code"


def test_every_migration_lets_the_version_before_go_on() -> None:
    loader = MigrationLoader(None)
    unsafe = [
        complaint
        for (app, name), migration in sorted(loader.disk_migrations.items())
        if app in OURS and not migration.initial
        for complaint in safety.complaints(migration, loader.project_state((app, name), at_end=False))
    ]

    assert unsafe == []


def complaints_about(*steps: operations.base.Operation, **attributes: Any) -> Sequence[str]:
    state = ProjectState()
    fields = [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=20, null=True))]
    state.add_model(ModelState("mail", "Letter", fields))
    migration = type("Migration", (Migration,), {"operations": list(steps), **attributes})("0002_next", "mail")
    return list(safety.complaints(migration, state))


@pytest.mark.parametrize(
    "step",
    [
        operations.AddField("letter", "size", models.IntegerField(default=0)),
        operations.RemoveField("letter", "name"),
        operations.RenameField("letter", "name", "title"),
        operations.DeleteModel("Letter"),
        operations.AlterField("letter", "name", models.CharField(max_length=20)),
        operations.AlterField("letter", "name", models.CharField(max_length=10, null=True)),
        operations.AlterField("letter", "name", models.IntegerField(null=True)),
        operations.AddConstraint("letter", models.UniqueConstraint(fields=["name"], name="once")),
        operations.RunPython(operations.RunPython.noop),
    ],
    ids=lambda step: step.describe(),
)
def test_what_the_version_before_could_not_bear_is_said(step: operations.base.Operation) -> None:
    [complaint] = complaints_about(step)

    assert complaint.startswith("mail.0002_next: ")
    assert complaints_about(step, safe_because="nobody uses it any more") == []


@pytest.mark.parametrize(
    "steps",
    [
        [operations.AddField("letter", "size", models.IntegerField(null=True))],
        [operations.AddField("letter", "size", models.IntegerField(default=0, db_default=0))],
        [operations.AlterField("letter", "name", models.CharField(max_length=40, null=True))],
        [operations.AddIndex("letter", models.Index(fields=["name"], name="by_name"))],
        [
            operations.CreateModel("Stamp", [("id", models.BigAutoField(primary_key=True))]),
            operations.AddField("stamp", "price", models.IntegerField()),
        ],
    ],
    ids=lambda steps: steps[-1].describe(),
)
def test_what_it_does_not_notice_is_nothing_to_say(steps: Sequence[operations.base.Operation]) -> None:
    assert complaints_about(*steps) == []
