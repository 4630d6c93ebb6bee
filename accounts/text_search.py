"""Looking for words in columns, in whatever case they are written."""

from __future__ import annotations

import re

from django.db.models import Q


def contains(column: str, text: str) -> Q:
    """Rows whose `column` has `text` in it, in upper or lower case.

    SQLite's LIKE knows the two cases of ASCII alone, and PostgreSQL those that its locale has; other letters are asked
    for in both.
    """
    if text.isascii():
        return Q((f"{column}__icontains", text))
    return Q((f"{column}__iregex", in_any_case(text)))


def in_any_case(text: str) -> str:
    """`text` as a regular expression of either database, to be matched whatever the case."""
    return "".join(map(_letter, text))


def _letter(letter: str) -> str:
    if letter.isascii():
        return re.escape(letter)
    cases = {letter, letter.lower(), letter.upper(), letter.title(), letter.upper().lower()}
    # What becomes several letters in the other case has none of its own.
    written = "".join(sorted(case for case in cases if len(case) == 1))
    return f"[{written}]" if len(written) > 1 else written
