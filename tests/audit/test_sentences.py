"""Sentences are made of codes and parameters when somebody looks, and never fail."""

from __future__ import annotations

from typing import Any

import pytest

from base.audit import sentences
from base.audit.models import AuditEvent


def said(action: str, parameters: dict[str, Any], **fields: Any) -> str:
    return AuditEvent(action=action, parameters=parameters, **{"result": "done", "done": 1, **fields}).outcome


@pytest.mark.parametrize(
    ("action", "parameters", "fields", "sentence"),
    [
        ("delete", {}, {"done": 12_000, "skipped": 0}, "12,000 deleted"),
        ("delete", {}, {"result": "begun"}, "Begun"),
        (
            "delete",
            {"cancelled_by": "root@example.org", "problem": "already gone"},
            {"result": "cancelled", "skipped": 3},
            "Cancelled by root@example.org: 1 deleted, 3 skipped (already gone)",
        ),
        ("move", {"error": "No space left"}, {"result": "failed", "done": 0}, "Failed (No space left): 0 moved"),
        ("add user", {"new": "user"}, {"kind": "user"}, "Added as User"),
        ("add domain", {"new": True}, {"kind": "domain"}, "Added"),
        ("remove alias", {"removed": True}, {"kind": "alias"}, "Removed"),
        (
            "change user",
            {"changed": {"messages_per_hour": [0, 7], "password": ["(hidden)", "(hidden)"]}},
            {"kind": "user"},
            "Messages per hour: 0 → 7; password: changed",
        ),
        ("status", {"changed": {"status": ["enabled", "disabled"]}}, {"kind": "user"}, "Status: Enabled → Disabled"),
        (
            "change list",
            {"members": {"added": {"count": 12, "first": ["a@far.test"]}, "removed": {"count": 0, "first": []}}},
            {"kind": "list"},
            "12 members added: a@far.test and 11 more",
        ),
        ("blacklist", {"is_new": True, "protocols": ["smtp"], "until": ""}, {}, "Added: SMTP"),
        ("unblacklist", {}, {"done": 3}, "3 removed"),
        # What another version, or a plug-in, wrote down.
        ("delete", {"busy": "many"}, {}, "Done"),
        ("paint", {}, {}, "Done"),
        ("paint", {}, {"result": "blue"}, ""),
        ("change user", {"changed": {"horns": [1, 2]}}, {"kind": "user"}, "horns: 1 → 2"),
        ("change yak", {"changed": {"horns": [1, 2]}}, {"kind": "yak"}, "Horns: 1 → 2"),
        ("change yak", {"changed": 5}, {"kind": "yak"}, "Done"),
        ("status", {}, {}, "Done"),
    ],
)
def test_what_a_row_says(action: str, parameters: dict[str, Any], fields: dict[str, Any], sentence: str) -> None:
    assert said(action, parameters, **fields).lower() == sentence.lower()


def test_a_stored_sentence_comes_before_that_of_the_code() -> None:
    assert said("delete", {}, said="1 deleted, long ago") == "1 deleted, long ago"


def test_many_names_are_kept_short() -> None:
    kept = sentences.few((f"u{n}" for n in range(50)), 2)
    assert kept == {"count": 50, "first": ["u0", "u1"]}
    assert sentences.few_in_words(kept) == "u0, u1 and 48 more"
    assert sentences.few_in_words(sentences.few([])) == ""
