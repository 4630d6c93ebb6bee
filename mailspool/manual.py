"""Writes docs/commands.md and the shells' completion from the commands' own parsers, and the table of variables in
docs/configuration.md from their declarations: `python -m mailspool.manual`.

All are kept in the repository, and a test fails when they no longer say what the program says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mailspool import start
from mailspool.environment import table

HERE = Path(__file__).resolve().parent.parent
MANUAL = HERE / "docs" / "commands.md"
COMPLETION = HERE / "deploy" / "completion" / "mailspool.sh"
# The title of the options that choose messages, in every parser that has them.
FILTERS = "which messages"
APPS = ("accounts", "mailspool", "quarantine", "security", "spool", "throttling")
# What Django adds to every command; its own documentation says what it does.
_DJANGO = {"--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color",
           "--skip-checks"}  # fmt: skip

_INTRODUCTION = """\
# Commands

Each is run as `mailspool COMMAND` where Mailspool is installed ([installing.md](installing.md)), which takes the
services' environment and user, and as `.venv/bin/python manage.py COMMAND` in a checkout. It says more with `--help`.
Exit status: 0 done, 1 nothing matched or it was refused, 2 usage, 78 something is wrong in the environment. With
`--json` they print JSON for machines. Django's own options (`--settings`, `--traceback`, …) are left out here.
`manage.py version` says which Mailspool this is, with `--verbose` also on what it runs.

Tab completion for bash and zsh: `source deploy/completion/mailspool.sh`.

This page is made from the commands themselves by `make manual`.
"""


@dataclass(frozen=True, slots=True)
class Described:
    """One command, or one verb of it, and its parser."""

    words: tuple[str, ...]
    parser: argparse.ArgumentParser
    help: str


def described() -> Iterator[Described]:
    """All commands of ours and their verbs, in order."""
    from django.core.management import get_commands, load_command_class

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


def manual() -> str:
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
    if any(action.option_strings and not _is_djangos(action) for action in command.parser._actions):
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
        if _is_djangos(action) or isinstance(action, argparse._SubParsersAction):
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


def _is_djangos(action: argparse.Action) -> bool:
    return bool(_DJANGO & {*action.option_strings}) or "-h" in action.option_strings


def completion() -> str:
    """A completion for bash; zsh uses it by its own bashcompinit."""
    cases, values = [], []
    for command in described():
        words = [
            o for a in command.parser._actions for o in a.option_strings if o.startswith("--") and not _is_djangos(a)
        ]
        for action in command.parser._actions:
            if isinstance(action, argparse._SubParsersAction) or (action.choices and not action.option_strings):
                words += [str(choice) for choice in action.choices or ()]
            elif action.choices:
                option = action.option_strings[-1]
                values.append(f'        "{" ".join(command.words)} {option}") words="{_joined(action.choices)}" ;;')
        cases.append(f'        "{" ".join(command.words)}") words="{_joined(words)}" ;;')
    commands = _joined(command.words[0] for command in described() if len(command.words) == 1)
    return _COMPLETION.format(commands=commands, cases="\n".join(cases), values="\n".join(values))


def _joined(words: object) -> str:
    return " ".join(str(word) for word in words)  # type: ignore[attr-defined]


_COMPLETION = """\
# Tab completion of Mailspool's commands, for bash and zsh: source this file. Made by `make manual`.
if [ -n "$ZSH_VERSION" ]; then
    autoload -U +X compinit && compinit
    autoload -U +X bashcompinit && bashcompinit
fi

_mailspool() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" path="" words="{commands}"
    local word number
    for ((number = 1; number < COMP_CWORD; number++)); do
        word="${{COMP_WORDS[number]}}"
        case "$word" in
            *manage.py) path="" ;;
            -*) break ;;
            *) _mailspool_words "${{path:+$path }}$word" && path="${{path:+$path }}$word" ;;
        esac
    done
    if [ -n "$path" ]; then
        _mailspool_words "$path"
        case "$previous" in -*) _mailspool_values "$path $previous" ;; esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}

_mailspool_words() {{
    case "$1" in
{cases}
        *) return 1 ;;
    esac
}}

_mailspool_values() {{
    case "$1" in
{values}
        *) return 1 ;;
    esac
}}

complete -o default -F _mailspool mailspool manage.py ./manage.py
"""


def main() -> None:
    """Write both files."""
    import django

    start.begin()
    django.setup()
    configuration = table.page(table.PAGE.read_text())
    for path, text in ((MANUAL, manual()), (COMPLETION, completion()), (table.PAGE, configuration)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        sys.stdout.write(f"{path.relative_to(HERE)}\n")


if __name__ == "__main__":
    main()
