"""The manual and the completion say what the commands' parsers say."""

from __future__ import annotations

import subprocess

import pytest

from mailspool import manual


def test_the_manual_is_up_to_date() -> None:
    assert manual.MANUAL.read_text() == manual.manual(), "a command has changed: run `make manual`"


def test_the_completion_is_up_to_date() -> None:
    assert manual.COMPLETION.read_text() == manual.completion(), "a command has changed: run `make manual`"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("manage.py spo", ["spool"]),
        ("python manage.py spool und", ["undo"]),
        ("manage.py spool und", ["undo"]),
        ("./manage.py spool hold --status wai", ["waiting"]),
        ("manage.py spool delete --bou", ["--bounce"]),
        ("manage.py spool priority hi", ["high"]),
    ],
)
def test_the_shell_completes_commands_verbs_options_and_values(typed: str, expected: list[str]) -> None:
    words = typed.split()
    script = (
        f"source '{manual.COMPLETION}'; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _mailspool;"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
    assert done.stderr == ""
