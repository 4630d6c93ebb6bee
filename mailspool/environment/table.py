"""The list of variables in docs/configuration.md, made from their declarations.

`python -m mailspool.environment.table` writes it into the page, after a change of them.
"""

from __future__ import annotations

import re
from pathlib import Path

from mailspool.environment.variables import VARIABLES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
_TABLE = re.compile(r"\| variable \|.*?\n(?=\n)", re.DOTALL)


def table() -> str:
    """The table, in Markdown."""
    rows = [f"| `{each.name}` | {each.default_words} | {each.meaning} |\n" for each in VARIABLES]
    return "| variable | default | meaning |\n| --- | --- | --- |\n" + "".join(rows)


def page(text: str) -> str:
    """`text`, the page, with the table as it must be."""
    return _TABLE.sub(lambda match: table(), text, count=1)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
