"""`mailspool check`, its exit status, and Django's own check behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from mailspool.inspection.findings import Finding, Level, fault, ok, warning
from tests.inspection.conftest import Found
from tests.support.commands import Manage, manage_with

THIS = "tests.inspection.test_command"


def good() -> Iterator[Finding]:
    yield ok("weather", "It does not rain.")


def so_so() -> Iterator[Finding]:
    yield warning("weather", "It rains\x1b[31m.")


def bad() -> Iterator[Finding]:
    yield fault("weather", "It pours: go inside.")


def broken() -> Iterator[Finding]:
    raise LookupError("no window")
    yield


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return manage_with(capsys, monkeypatch, "mailspool")


def test_faults_and_warnings_are_said_and_only_faults_end_with_1(manage: Manage, settings: LazySettings) -> None:
    settings.MAILSPOOL_CHECKS = [f"{THIS}.good", f"{THIS}.so_so"]
    passed = manage("check")
    assert passed.status == 0
    assert "ok       weather       It does not rain." in passed.out
    assert "\x1b" not in passed.out
    assert passed.out.splitlines()[-1] == "0 faults and 1 warning."

    settings.MAILSPOOL_CHECKS = [f"{THIS}.good", f"{THIS}.bad"]
    failed = manage("check", "--only-wrong")
    assert failed.status == 1
    assert failed.out.splitlines() == ["fault    weather       It pours: go inside.", "1 fault and 0 warnings."]


def test_machines_get_json(manage: Manage, settings: LazySettings) -> None:
    settings.MAILSPOOL_CHECKS = [f"{THIS}.bad"]
    failed = manage("check", "--json")
    assert failed.status == 1
    assert failed.json == [{"level": "fault", "subject": "weather", "sentence": "It pours: go inside."}]


def test_a_look_that_breaks_or_is_not_there_hides_no_other(manage: Manage, settings: LazySettings) -> None:
    settings.MAILSPOOL_CHECKS = [f"{THIS}.broken", f"{THIS}.no_such_look", f"{THIS}.bad"]
    rows = manage("check", "--json").json
    assert [row["subject"] for row in rows] == ["broken", "no such look", "weather"]
    assert "LookupError: no window" in rows[0]["sentence"]


def test_with_its_options_it_is_django_s_own(manage: Manage, settings: LazySettings) -> None:
    settings.MAILSPOOL_CHECKS = [f"{THIS}.bad"]
    assert manage("check", "--fail-level", "WARNING").status == 0
    assert manage("check", "--tag", "models").status == 0
    assert manage("check", "accounts").status == 0
    assert "security" in manage("check", "--list-tags").out


def test_the_code_and_what_settings_name_are_in_order(found: Found) -> None:
    assert [f.level for f in [*found("program.program"), *found("program.plug_ins")]] == [Level.OK, Level.OK]


def test_a_plug_in_that_can_t_be_loaded_is_a_fault_with_its_list(found: Found, settings: LazySettings) -> None:
    settings.SPOOL_STAGES = ["no.such.Stage", *settings.SPOOL_STAGES]
    (finding,) = found("program.plug_ins")
    assert finding.level is Level.FAULT
    assert finding.sentence.startswith("SPOOL_STAGES names no.such.Stage, which can't be loaded: No module named 'no'")


def test_a_console_that_is_open_to_much_is_said(found: Found, settings: LazySettings, tmp_path: Path) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["*"]
    assert {finding.level for finding in found("program.exposure")} == {Level.FAULT, Level.WARNING}
