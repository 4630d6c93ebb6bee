"""No text is put into a language when its module is imported: that may be in the first page that somebody asks for."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.alike
# Where it is only asked whether there is a text, or what it is in English, or what the help of a command says.
_HARMLESS = {
    ("accounts/fields.py", "<listcomp>"),
    ("base/actions/action.py", "bulk_label"),
    ("base/declared_settings.py", "slug_of"),
    ("spool/console/actions.py", "of"),
    ("throttling/actions/limits.py", "<genexpr>"),
    ("throttling/wording.py", "<listcomp>"),
}


def test_no_text_gets_its_language_at_import() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.languages.importing"], capture_output=True, text=True, timeout=300, check=True
    )
    told = [line.split("\t") for line in done.stdout.splitlines()]
    assert told, "it listens"
    assert [where for where in told if (where[0], where[1]) not in _HARMLESS] == []
