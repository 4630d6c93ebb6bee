"""An installation's own settings and plug-ins, outside the program's folder: MAILSPOOL_SETTINGS and MAILSPOOL_PLUGINS.

They run as the program does: what others may write is refused. What is wrong in them is a sentence that names the line.
"""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
import traceback
from pathlib import Path
from typing import Any

from mailspool.environment.reader import WrongEnvironment

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def apply(settings: dict[str, Any], files: Path | None, plugins: Path | None) -> None:
    """Run the file, or each `.py` in the folder in order of their names, with the settings as its variables.

    What is in `plugins` can be imported from then on. Raises WrongEnvironment.
    """
    if plugins is not None:
        _check_owner("MAILSPOOL_PLUGINS", plugins, folder=True)
        # Last: nothing in it can take the place of a module that is there.
        sys.path.append(str(plugins))
    if files is None:
        return
    apps = set(settings["INSTALLED_APPS"])
    if files.is_dir():
        _check_owner("MAILSPOOL_SETTINGS", files, folder=True)
        for file in sorted(files.glob("*.py")):
            _run(file, settings)
    else:
        _run(files, settings)
    for app in settings["INSTALLED_APPS"]:
        if app not in apps and importlib.util.find_spec(app.partition(".")[0]) is None:
            raise WrongEnvironment([f"{files}: INSTALLED_APPS names {app}, which can't be found (MAILSPOOL_PLUGINS)."])


def _run(file: Path, settings: dict[str, Any]) -> None:
    _check_owner("MAILSPOOL_SETTINGS", file, folder=False)
    try:
        exec(compile(file.read_bytes(), str(file), "exec"), settings)  # noqa: S102
    except Exception as error:
        # The edge of somebody else's code.
        raise WrongEnvironment([f"{file}, line {_line(error, file)}: {type(error).__name__}: {error}."]) from error


def _line(error: Exception, file: Path) -> int:
    """Where in the file it went wrong, also when it was in something that the file has called."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno or 1
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return (lines[-1] if lines else None) or 1


def _check_owner(variable: str, path: Path, *, folder: bool) -> None:
    """Raise WrongEnvironment when the path is not there, or when somebody but root and us decides what it says."""
    try:
        found = path.stat()
        above = path.resolve().parent.stat()
    except OSError as error:
        raise WrongEnvironment([f"{variable}={path}: {error.strerror}."]) from error
    if stat.S_ISDIR(found.st_mode) != folder:
        raise WrongEnvironment([f"{variable}={path}: it must be a {'folder' if folder else 'file'}."])
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise WrongEnvironment([f"{variable}: others may write {path}, and it runs as Mailspool: chmod go-w {path}."])
    if found.st_uid not in (0, os.geteuid()):
        raise WrongEnvironment([f"{variable}: {path} is another user's, and it runs as Mailspool: chown root {path}."])
    # In a folder with the sticky bit nobody can take another's file away.
    if above.st_mode & _OTHERS_MAY_WRITE and not above.st_mode & stat.S_ISVTX:
        folder_above = path.resolve().parent
        raise WrongEnvironment(
            [f"{variable}: others may write in {folder_above}, and replace {path}: chmod go-w {folder_above}."]
        )
