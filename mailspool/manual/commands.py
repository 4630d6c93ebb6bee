"""The commands, their verbs and their parsers, which all that is written about them is made from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from django.core.management import get_commands, load_command_class

APPS = ("accounts", "mailspool", "quarantine", "security", "spool", "throttling")
# What Django adds to every command; its own documentation says what it does.
_DJANGO = {
    "--version",
    "--verbosity",
    "--settings",
    "--pythonpath",
    "--traceback",
    "--no-color",
    "--force-color",
    "--skip-checks",
}


@dataclass(frozen=True, slots=True)
class Described:
    """One command, or one verb of it, and its parser."""

    words: tuple[str, ...]
    parser: argparse.ArgumentParser
    help: str


def described() -> Iterator[Described]:
    """All commands of ours and their verbs, in order. Django must be set up."""
    for name, app in sorted(get_commands().items()):
        if app in APPS:
            parser = load_command_class(app, name).create_parser("manage.py", name)
            yield from _with_verbs((name,), parser, parser.description or "")


def _with_verbs(words: tuple[str, ...], parser: argparse.ArgumentParser, text: str) -> Iterator[Described]:
    yield Described(words, parser, text)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for verb, below in action.choices.items():
                yield from _with_verbs((*words, verb), below, below.description or texts.get(verb, ""))


def is_djangos(action: argparse.Action) -> bool:
    """Whether it is an option that every command has, and that is left out."""
    return bool(_DJANGO & {*action.option_strings}) or "-h" in action.option_strings
