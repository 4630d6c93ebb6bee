"""Imports all of Mailspool, and prints what was put into a language meanwhile: PATH FUNCTION TEXT, with tabs.

`python -m tests.languages.importing`, with a home of its own: what is imported stays so for as long as a process lives.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
from pathlib import Path

import django
from django.utils import translation

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("accounts", "base", "mailspool", "quarantine", "security", "spool", "throttling")
_DJANGO = Path(django.__file__).parent
# Programs, which begin when they are imported.
_PROGRAMS = ("mailspool.wsgi", "mailspool.asgi")


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")
    django.setup()
    real = translation._trans  # type: ignore[attr-defined]
    gettext, ngettext = real.gettext, real.ngettext

    def one(message: str) -> str:
        _tell(message)
        return str(gettext(message))

    def many(singular: str, plural: str, number: int) -> str:
        _tell(singular)
        return str(ngettext(singular, plural, number))

    real.gettext, real.ngettext = one, many
    for package in PACKAGES:
        for module in pkgutil.walk_packages([str(PROJECT / package)], f"{package}."):
            if (
                ".migrations" not in module.name
                and not module.name.endswith("__main__")
                and module.name not in _PROGRAMS
            ):
                importlib.import_module(module.name)


def _tell(message: str) -> None:
    """Whoever asked for it, past Django's lazy texts; what another package says is its own."""
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        if path == Path(__file__) or _DJANGO in path.parents:
            continue
        if path.is_relative_to(PROJECT) and "site-packages" not in path.parts:
            sys.stdout.write(f"{path.relative_to(PROJECT)}\t{frame.name}\t{message}\n")
        return


if __name__ == "__main__":
    main()
