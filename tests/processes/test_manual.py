"""The page, the man page and the completion say what the commands' parsers say."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailspool.manual import commands, man, page
from tests.support.mailspool_process import PROJECT


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a package gets it."""
    folder = tmp_path_factory.mktemp("manual")
    environment = {**os.environ, "MAILSPOOL_HOME": str(folder / "home")}
    subprocess.run(
        [sys.executable, "-m", "mailspool.manual", folder / "made"], cwd=PROJECT, env=environment, check=True
    )
    return folder / "made"


def test_the_manual_has_all_commands_with_their_verbs_and_options(written: Path) -> None:
    text = (written / "commands.md").read_text()

    assert text == page.page()
    conditions = text[text.index("\n## Conditions\n") :]
    for command in commands.described():
        level = "##" if len(command.words) == 1 else "###"
        part = text.partition(f"\n{level} {' '.join(command.words)}\n")[2].partition("\n##")[0]
        assert command.help in part
        for action in command.parser._actions:
            if commands.is_djangos(action) or isinstance(action, argparse._SubParsersAction):
                continue
            for option in action.option_strings:
                assert f"`{option}" in part or f"`{option}" in conditions, (command.words, option)


def test_the_man_page_has_all_commands(written: Path) -> None:
    text = (written / "mailspool.8").read_text()

    assert text == man.page()
    for command in commands.described():
        assert f"\n.B {' '.join(command.words).replace('-', chr(92) + '-')}\n" in text


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("manage.py spo", ["spool"]),
        ("mailspool spool und", ["undo"]),
        ("manage.py spool und", ["undo"]),
        ("./manage.py spool hold --status wai", ["waiting"]),
        ("manage.py spool delete --bou", ["--bounce"]),
        ("manage.py spool priority hi", ["high"]),
        ("mailspool spool list --sett", []),
    ],
)
def test_the_shell_completes_commands_verbs_options_and_values(written: Path, typed: str, expected: list[str]) -> None:
    words = typed.split()
    # As bash asks for it: by the function that is registered for the command.
    script = (
        f"source '{written}/mailspool.bash'; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1};"
        f' [[ "$(complete -p {words[0]})" =~ -F\\ ([a-z_]+) ]]; "${{BASH_REMATCH[1]}}";'
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
    # And zsh by the first line of a file in its fpath.
    assert (written / "_mailspool").read_text().startswith("#compdef mailspool manage.py\n")
    # Outside of a completion bash has no options of one to change.
    said = [line for line in done.stderr.splitlines() if "compopt: not currently executing" not in line]
    assert said == []
