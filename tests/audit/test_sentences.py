"""Sentences are made of codes and parameters when somebody looks, and never fail."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from base.actions.action import Refused
from base.audit import sentences
from base.audit.models import AuditEvent
from base.facts import fact, kept_as, of_error


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


def test_each_action_has_a_title_for_people() -> None:
    assert [code for code in sentences.known_actions() if sentences.title(code) == code] == []
    assert sentences.title("change user") == "Change user"
    assert sentences.title("paint") == "paint", "of another version"


@pytest.mark.parametrize(
    ("action", "parameters", "fields", "title", "sentence"),
    [
        ("blacklist", {"kept_out": 1200, "until": ""}, {}, "Blacklist", "1.200 gesperrt (läuft nie ab)"),
        ("unwhitelist", {}, {"done": 3}, "Von der Whitelist nehmen", "3 entfernt"),
        (
            "import accounts",
            {"fates": {"added": 3, "refused": 1}},
            {},
            "Konten importieren",
            "3 hinzugefügt, 1 abgelehnt",
        ),
        ("export accounts", {"format": "csv", "hashes": False}, {}, "Konten exportieren", "Als csv, ohne Hashes"),
        ("export", {}, {"done": 1500}, "Exportieren", "1.500 exportiert"),
        ("mend", {"mended": {"lapsed lease": 2}}, {}, "Spool reparieren", "Behoben: lapsed lease (2)"),
        (
            "destination-slow",
            {"rate": 30, "connections": 1},
            {},
            "Ziel bremsen",
            "Höchstens 30 Nachrichten pro Minute, 1 Verbindung",
        ),
        ("throttle release", {}, {"done": 2}, "Drosselung aufheben", "2 freigegeben"),
        (
            "stop",
            {
                "facts": [
                    {"say": "Not done: %(error)s", "with": {"error": {"say": "Choose what is to be done.", "with": {}}}}
                ]
            },
            {},
            "Stoppen",
            "Nicht ausgeführt: Wählen Sie, was geschehen soll.",
        ),
    ],
)
def test_who_reads_german_reads_no_english(
    action: str, parameters: dict[str, Any], fields: dict[str, Any], title: str, sentence: str
) -> None:
    with translation.override("de"):
        assert sentences.title(action) == title
        assert said(action, parameters, **fields) == sentence


def test_a_stored_sentence_comes_before_that_of_the_code() -> None:
    assert said("delete", {}, said="1 deleted, long ago") == "1 deleted, long ago"


def test_many_names_are_kept_short() -> None:
    kept = sentences.few((f"u{n}" for n in range(50)), 2)
    assert kept == {"count": 50, "first": ["u0", "u1"]}
    assert sentences.few_in_words(kept) == "u0, u1 and 48 more"
    assert sentences.few_in_words(sentences.few([])) == ""


def test_a_refusal_is_kept_with_its_values_and_said_in_the_readers_language() -> None:
    refused = Refused(fact("%(pattern)s is blocked by %(rule)s; remove that block.", pattern="a@b.test", rule="b.test"))
    for error, german in (
        (refused, "a@b.test ist durch b.test blockiert; entfernen Sie diese Sperre."),
        (Refused("Choose what is to be done."), "Wählen Sie, was geschehen soll."),
        (Refused("550 5.1.1 100% nobody"), "550 5.1.1 100% nobody"),
    ):
        stored = of_error(error).kept
        with translation.override("de"):
            assert str(kept_as(stored)) == german
