"""Completion of commands, verbs, options and their values in bash and zsh, made by shtab.

All words stand in the script: asking the program at each press of TAB would take as long as Django needs to start.
"""

from __future__ import annotations

import argparse

import shtab

from mailspool.manual.commands import described, is_djangos

# shtab's script is for one name of the program; a checkout has another. And bash goes on with names of files.
_BASH = "\ncomplete -o bashdefault -o default -F _shtab_mailspool mailspool manage.py ./manage.py\n"


def script(shell: str) -> str:
    """What a shell, `bash` or `zsh`, takes. Django must be set up."""
    parser = argparse.ArgumentParser(prog="mailspool", add_help=False)
    # The commands' own parsers below one.
    commands = parser.add_subparsers(parser_class=lambda own, **_: own)  # type: ignore[call-overload]
    for command in described():
        for action in command.parser._actions:
            if is_djangos(action):
                action.help = argparse.SUPPRESS
            elif str(action.metavar or action.dest).upper() in ("FILE", "FOLDER", "PATH"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        if len(command.words) == 1:
            commands.add_parser(command.words[0], help=command.help, own=command.parser)
    text = shtab.complete(parser, shell=shell)
    if shell == "zsh":
        return text.replace("#compdef mailspool", "#compdef mailspool manage.py", 1)
    return f"{text}\n{_BASH}"
