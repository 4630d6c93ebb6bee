"""`manage.py` commands run inside the test's process, with the exit status that a shell would see."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import load_command_class


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Manage = Callable[..., Ran]


def manage_with(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, app: str) -> Manage:
    """A function that runs `manage.py NAME ARGUMENT…`, a command of `app`, with `stdin` as its input."""

    def run(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        command = load_command_class(app, arguments[0])
        status = 0
        try:
            command.run_from_argv(["manage.py", *arguments])
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run
