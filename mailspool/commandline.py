"""The command line: Django's commands and ours, and whose version `--version` means.

`manage.py` and the packaged `mailspool` command both end here. What an administrator can put right is a sentence, and
no traceback.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence

from mailspool import VERSION, start

# The commands that run until they are told to end.
PROGRAMS = ("smtpd", "rqworker", "scheduler")


def main(words: Sequence[str]) -> None:
    """Run the command that the words after the program's name say; --traceback shows whatever goes wrong as it is."""
    if words[:1] == ["version"] or "--version" in words:
        # Django would say its own, and of every command too.
        print("\n".join(version_lines(verbose="--verbose" in words)))
        return
    start.begin(program=bool(words) and words[0] in PROGRAMS)
    from django.core.management import execute_from_command_line

    from base.audit import origin

    try:
        with origin.coming(via=lambda: _named(words)):
            execute_from_command_line([sys.argv[0], *words])
    except Exception as error:
        sentence = "" if "--traceback" in words else complaint(error)
        if not sentence:
            raise
        from accounts.management.terminal import one_line

        print(one_line(sentence), file=sys.stderr)
        sys.exit(1)


def _named(words: Sequence[str]) -> str:
    from mailspool.origin import command

    return command(words)


def complaint(error: Exception) -> str:
    """What is wrong around the program, as a sentence; "" for what is a fault of the program itself."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db import Error as DatabaseError
    from redis.exceptions import RedisError

    from mailspool.preflight import CannotStart

    said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    match error:
        case DatabaseError():
            return _about_database(error, said)
        case RedisError():
            return f"Redis can't be used: {said} (REDIS_URL says which)."
        case CannotStart() | ImproperlyConfigured():
            return f"{said}."
        case OSError():
            return start.complaint(error)
    return ""


def _about_database(error: Exception, said: str) -> str:
    from django.db import Error as DatabaseError
    from django.db import InterfaceError, OperationalError

    from base import schema

    try:
        # A column that is not there is no fault of the command.
        if fault := schema.examine().fault:
            return fault
    except DatabaseError:
        pass
    is_away = isinstance(error, OperationalError | InterfaceError)
    return f"The database can't be used: {said} (DATABASE_URL says which)." if is_away else ""


def version_lines(*, verbose: bool) -> list[str]:
    """Mailspool's version, and what a report of a fault should say besides: what it runs on."""
    lines = [f"Mailspool {VERSION}"]
    if verbose:
        start.begin()
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
