"""The environment file is read as systemd reads it, and the command says whom it is for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailspool import installed
from mailspool.preflight import CannotStart
from tests.deploy.units import DEPLOY, environment_of


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=b\n", {"A": "b"}),
        ("# A=b\n; C=d\n\n", {}),
        ('A="b c"\nD=\'e "f"\'', {"A": "b c", "D": 'e "f"'}),
        ("URL=postgres://a@/b?host=/run&port=5432", {"URL": "postgres://a@/b?host=/run&port=5432"}),
        ("A=b c # d", {"A": "b c # d"}),
        ("A = b ", {"A": "b"}),
        ("A=b\\\nc", {"A": "bc"}),
        ("A=", {"A": ""}),
        ("A=$HOME;`id`", {"A": "$HOME;`id`"}),
        ("=x\nnothing", {}),
    ],
)
def test_a_line_means_what_it_means_to_systemd(text: str, values: dict[str, str]) -> None:
    assert installed.parsed(text) == values


def test_the_example_is_read_alike_by_the_command_and_by_the_tests_of_the_units() -> None:
    example = DEPLOY / "environment.example"

    assert installed.parsed(example.read_text()) == environment_of(example)


def test_an_open_quote_is_a_sentence_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "environment"
    path.write_text('A="b')
    monkeypatch.setattr(installed, "ENVIRONMENT", path)

    with pytest.raises(CannotStart, match=rf"^{path}: No closing quotation\.$"):
        installed.become_service()


def test_without_the_services_user_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "USER", "nobody-of-that-name")
    before = dict(os.environ)

    with pytest.raises(CannotStart, match="There is no user nobody-of-that-name here"):
        installed.become_service()
    assert dict(os.environ) == before
