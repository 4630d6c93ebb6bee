"""`manage.py quarantine` and `manage.py scan`, as a shell sees them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from quarantine.models import AntivirusSettings, Check, CheckKind, Item, ItemKind
from spool.models import AuditEvent, Entry
from tests.quarantine import mail
from tests.support.clamd import SIGNATURE, Clamd

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


def run(*words: str) -> tuple[int, str, str]:
    """(exit status, standard output, standard error)."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command(*words, stdout=out, stderr=err)
    except SystemExit as ended:
        status = int(str(ended.code))
    return status, out.getvalue(), err.getvalue()


def as_json(*words: str) -> Any:
    return json.loads(run(*words, "--json")[1])


def test_list_has_the_columns_of_the_pages_for_both_or_one_quarantine(quarantined: Callable[..., Item]) -> None:
    spam, virus = quarantined(sender="ann@example.org"), quarantined(ItemKind.VIRUS, SIGNATURE)
    assert [row["File Name"] for row in as_json("quarantine", "list")] == [virus.file_name, spam.file_name]
    [row] = as_json("quarantine", "list", "--kind", "virus")
    assert (row["Why"], row["Recipients"], row["Quarantine"]) == (SIGNATURE, "0 / 1", "Virus")
    assert run("quarantine", "list", "--sender", "nobody@example.org")[0] == 1


def test_show_tells_why_and_to_whom(quarantined: Callable[..., Item]) -> None:
    item = quarantined(findings=[{"check": "SPF", "kind": "spf", "points": 8.0, "text": "fail", "failed": False}])
    status, out, _ = run("quarantine", "show", item.file_name.removesuffix(".eml"))
    assert status == 0 and "SPF: 8 fail" in out and "bob@example.net pending" in out
    status, _, err = run("quarantine", "show", "nothing")
    assert status == 1 and "no message nothing.eml" in err


def test_an_action_wants_a_condition_and_agreement(quarantined: Callable[..., Item]) -> None:
    quarantined()
    assert run("quarantine", "resend")[0] == 2
    assert run("quarantine", "resend", "--all")[0] == 2
    status, out, _ = run("quarantine", "resend", "--all", "--dry-run")
    assert status == 0 and "1 messages in both quarantines" in out and not Entry.objects.exists()
    assert as_json("quarantine", "resend", "--all", "--yes")["done"] == 1
    assert Entry.objects.count() == 1 and AuditEvent.objects.get().source == "shell"


def test_delete_is_undone_by_spool_undo_and_purge_is_not(quarantined: Callable[..., Item]) -> None:
    item = quarantined()
    event = as_json("quarantine", "delete", "--id", item.file_name, "--yes")["event"]
    assert run("quarantine", "list")[0] == 1
    assert as_json("spool", "undo", str(event), "--yes")["done"] == 1
    assert as_json("quarantine", "purge", "--id", item.file_name, "--yes")["done"] == 1
    assert not Item.objects.exists() and not item.path.exists()


def test_export_writes_the_rows_of_what_matches(quarantined: Callable[..., Item], tmp_path: Path) -> None:
    quarantined(sender="ann@example.org")
    quarantined(ItemKind.VIRUS, SIGNATURE, sender="eve@example.com")
    path = tmp_path / "rows.json"
    status, out, _ = run("quarantine", "export", "--kind", "virus", "--all", "--format", "json", "--output", str(path))
    assert status == 0 and str(path) in out
    [row] = json.loads(path.read_text())
    assert (row["sender"], row["why"], row["recipients"]) == ("eve@example.com", SIGNATURE, ["bob@example.net"])
    assert run("quarantine", "export")[0] == 2
    assert run("quarantine", "export", "--sender", "nobody@example.org")[0] == 1


def test_move_makes_files(quarantined: Callable[..., Item], home: object) -> None:
    item = quarantined()
    assert as_json("quarantine", "move", "--all", "--folder", "caught", "--yes")["done"] == 1
    assert (Path(Item.objects.get().target) / item.file_name).exists()


def test_scan_says_what_would_become_of_a_message(clamd: Clamd, setting: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "message.eml"
    path.write_bytes(mail.zipped())
    status, out, _ = run("scan", str(path))
    assert status == 0 and "No virus scanner is set." in out
    setting(AntivirusSettings, clamd_servers=clamd.address)
    Check.objects.create(name="rule", kind=CheckKind.HEADER, where="Subject", pattern="invoice", weight=12)
    answer = as_json("scan", str(path))
    assert answer["virus"]["why"] == f"{SIGNATURE} (clamd)" and answer["spam"]["score"] == 12
    assert run("scan", str(path))[0] == 1
    path.write_bytes(mail.CLEAN)
    assert run("scan", str(path))[0] == 0
    assert run("scan", str(tmp_path / "nothing"))[0] == 2
    assert not Item.objects.exists() and not Entry.objects.exists()
