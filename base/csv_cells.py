"""Cells of CSV files that spreadsheets open: what they would take for a formula is quoted, and can be unquoted."""

from __future__ import annotations

import re

# A spreadsheet takes a cell that begins with one of these for a formula (OWASP: CSV injection).
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def escaped(text: str) -> str:
    """`text` with an apostrophe before it, where it needs one, or could be taken for a text that has one."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(cell: str) -> str:
    """What `escaped` was given. A cell of somebody else's keeps an apostrophe that quotes no formula."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
