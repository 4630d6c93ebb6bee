"""The page with all commands, in Markdown."""

from __future__ import annotations

import argparse

from mailspool.manual.commands import Described, described, is_djangos

# The title of the options that choose messages, in every parser that has them.
FILTERS = "which messages"

_INTRODUCTION = """\
# Commands

Each is run as `mailspool COMMAND` where Mailspool is installed ([installing.md](installing.md)), which takes the
services' environment and user, and as `.venv/bin/python manage.py COMMAND` in a checkout. It says more with `--help`.
Exit status: 0 done, 1 nothing matched or it was refused, 2 usage, 78 something is wrong in the environment. With
`--json` they print JSON for machines. Django's own options (`--settings`, `--traceback`, …) are left out here.
`manage.py version` says which Mailspool this is, with `--verbose` also on what it runs.

This page is made from the commands themselves.
"""


def page() -> str:
    """The page, in Markdown."""
    parts = [_INTRODUCTION]
    filters = ""
    for command in described():
        level = "##" if len(command.words) == 1 else "###"
        parts.append(
            f"\n{level} {' '.join(command.words)}\n\n{command.help}\n\n{_usage(command)}\n{_arguments(command)}"
        )
        if group := _filters(command):
            parts.append("\nWhich messages: by the [conditions](#conditions) at the end of this page.\n")
            filters = _table(group)
    if filters:
        parts.append(f"\n## Conditions\n\nAll that are given must hold.\n\n{filters}")
    return "".join(parts)


def _filters(command: Described) -> list[argparse.Action]:
    """The conditions of the filter language, which many commands share."""
    return next((g._group_actions for g in command.parser._action_groups if g.title == FILTERS), [])


def _usage(command: Described) -> str:
    words = [f"manage.py {' '.join(command.words)}"]
    if any(action.option_strings and not is_djangos(action) for action in command.parser._actions):
        words.append("[options]")
    for action in command.parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words.append("VERB …")
        elif not action.option_strings:
            words.append(_place(action))
    return f"    {' '.join(words)}\n"


def _arguments(command: Described) -> str:
    shared = _filters(command)
    return _table([action for action in command.parser._actions if action not in shared])


def _table(actions: list[argparse.Action]) -> str:
    rows = []
    for action in actions:
        if is_djangos(action) or isinstance(action, argparse._SubParsersAction):
            continue
        takes = _value(action)
        name = ", ".join(f"`{o}{f' {takes}' if takes else ''}`" for o in action.option_strings) or f"`{_place(action)}`"
        text = (action.help or "").replace("%%", "%").replace("|", "\\|")
        if action.choices is not None:
            text += f" ({', '.join(str(choice) for choice in action.choices)})"
        rows.append(f"| {name} | {text.strip()} |\n")
    return "| | |\n| --- | --- |\n" + "".join(rows) if rows else ""


def _value(action: argparse.Action) -> str:
    if action.nargs == 0 or not action.option_strings:
        return ""
    value = action.metavar or action.dest.upper()
    text = value if isinstance(value, str) else " ".join(value)
    return f"{text} …" if action.nargs in ("+", "*") else text


def _place(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest).upper()
    return {"?": f"[{name}]", "*": f"[{name} …]", "+": f"{name} …"}.get(str(action.nargs), name)
