"""A command in the place of a service: with the environment of systemd's units, as their user.

For the `mailspool` command of an installation (`python -m mailspool`, deploy/mailspool). `manage.py` takes the
environment and the user that it is given.
"""

from __future__ import annotations

import os
import pwd
import shlex
from pathlib import Path

from mailspool.preflight import CannotStart

ENVIRONMENT = Path("/etc/mailspool/environment")
USER = "mailspool"


def become_service() -> None:
    """Take on the services' environment and user. Raises CannotStart when that is not for who calls."""
    environment = _read(ENVIRONMENT)
    _become(USER)
    os.environ.update(environment)


def parsed(text: str) -> dict[str, str]:
    """What systemd finds in such a file: EnvironmentFile= in systemd.exec(5). Raises ValueError for an open quote.

    A shell would see other things in it: to systemd an `&` or a blank in a value is itself.
    """
    values = {}
    for line in text.replace("\\\n", "").splitlines():
        name, separator, value = line.strip().partition("=")
        if not name or not separator or name[0] in "#;":
            continue
        lexer = shlex.shlex(value.strip(), posix=True)
        lexer.whitespace = lexer.commenters = ""
        lexer.whitespace_split = True
        values[name.strip()] = lexer.get_token() or ""
    return values


def _read(path: Path) -> dict[str, str]:
    try:
        return parsed(path.read_text())
    except FileNotFoundError:
        # A container has everything in its environment already.
        return {}
    except PermissionError as error:
        raise CannotStart(f"{path} is not for you to read. Run this as root or as the user {USER}.") from error
    except ValueError as error:
        raise CannotStart(f"{path}: {error}.") from error


def _become(name: str) -> None:
    """Root becomes the services' user: what it makes must be theirs."""
    try:
        account = pwd.getpwnam(name)
    except KeyError as error:
        raise CannotStart(f"There is no user {name} here, as whom the services run.") from error
    if os.geteuid() == account.pw_uid:
        return
    if os.geteuid() != 0:
        raise CannotStart(f"Run this as root or as the user {name}, as whom the services run.")
    os.initgroups(name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ.update(HOME=account.pw_dir, USER=name, LOGNAME=name)
