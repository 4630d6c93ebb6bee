"""Django's `icontains`, which searches of lists and of the admin use, for letters of any alphabet.

SQLite's LIKE knows upper and lower case of ASCII alone, and PostgreSQL's UPPER what its locale has; other letters are
asked for in both. It is registered by being imported, when the app starts.
"""

from __future__ import annotations

import re
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, TextField
from django.db.models.lookups import IContains


@CharField.register_lookup
@TextField.register_lookup
class ContainsInAnyCase(IContains):
    """`column__icontains="ärger"`."""

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        if not isinstance(self.rhs, str) or self.rhs.isascii():
            return super().as_sql(compiler, connection)
        column, values = self.process_lhs(compiler, connection)
        if connection.vendor == "sqlite":
            return f"{column} REGEXP %s", (*values, f"(?i){in_any_case(self.rhs)}")
        return f"{column} ~* %s", (*values, in_any_case(self.rhs))


def in_any_case(text: str) -> str:
    """`text` as a regular expression of either database, to be matched whatever the case. It never goes back."""
    return "".join(map(_letter, text))


def _letter(letter: str) -> str:
    if letter.isascii():
        return re.escape(letter)
    cases = {letter, letter.lower(), letter.upper(), letter.title(), letter.upper().lower()}
    # What becomes several letters in the other case has none of its own.
    written = "".join(sorted(case for case in cases if len(case) == 1))
    return f"[{written}]" if len(written) > 1 else written
