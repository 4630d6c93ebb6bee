"""The command line: Django's commands and ours, and whose version `--version` means.

`manage.py` and the packaged `mailspool` command both end here.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence

from mailspool import VERSION


def main(words: Sequence[str]) -> None:
    """Run the command that the words after the program's name say."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")
    if words[:1] == ["version"] or "--version" in words:
        # Django would say its own, and of every command too.
        print("\n".join(version_lines(verbose="--verbose" in words)))
        return
    from django.core.management import execute_from_command_line

    execute_from_command_line([sys.argv[0], *words])


def version_lines(*, verbose: bool) -> list[str]:
    """Mailspool's version, and what a report of a fault should say besides: what it runs on."""
    lines = [f"Mailspool {VERSION}"]
    if verbose:
        import django

        django.setup()
        lines += [f"Python {platform.python_version()}", f"Django {django.get_version()}", _database()]
    return lines


def _database() -> str:
    from django.db import Error, connection

    name = connection.display_name
    try:
        connection.ensure_connection()
        numbers = connection.get_database_version()
    except Error:
        return f"{name}, which does not answer"
    finally:
        connection.close()
    return f"{name} {'.'.join(str(number) for number in numbers)}"
