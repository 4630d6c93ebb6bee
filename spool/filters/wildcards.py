"""`*` for any text in an address: how many there may be, and a lookup for it whose cost is bounded on both databases.

An expression such as `.*a.*a.*a` goes back over the text once for each star, for every row: with ten of them no row is
ever done. Here the first place where a piece fits is the last that is tried, which finds all the same.
"""

from __future__ import annotations

import re
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Lookup, TextField
from django.utils.translation import gettext as _

from spool.filters.units import BadFilter

MOST_WILDCARDS: Final = 8
_IN_LINE: Final = r"[^\n]"


def checked(pattern: str) -> str:
    """`pattern`, several stars on end as one. Raises BadFilter when it has too many."""
    pattern = re.sub(r"\*+", "*", pattern)
    if pattern.count("*") > MOST_WILDCARDS:
        raise BadFilter(
            _("%(text)s has more than %(most)s wildcards; write longer parts between the *.")
            % {"text": repr(pattern[:80]), "most": MOST_WILDCARDS}
        )
    return pattern


@CharField.register_lookup
@TextField.register_lookup
class Wild(Lookup):
    """`column__wild="*@example.*"`: all of the text, in any case."""

    lookup_name = "wild"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, values = self.process_lhs(compiler, connection)
        if connection.vendor == "sqlite":
            return f"{column} REGEXP %s", (*values, self.expression(str(self.rhs)))
        return f"{column} {self.on_postgresql} %s", (*values, self.on_postgresql_pattern(str(self.rhs)))

    # Each of its comparisons ends at the first text that can't be made to fit.
    on_postgresql = "ILIKE"

    @staticmethod
    def on_postgresql_pattern(pattern: str) -> str:
        return re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%")

    @staticmethod
    def expression(pattern: str) -> str:
        return rf"(?is)\A{_pieces(pattern, '.')}\Z"


@TextField.register_lookup
class WildLine(Wild):
    """The same for one line of a text that has many."""

    lookup_name = "wild_line"
    on_postgresql = "~*"

    @staticmethod
    def on_postgresql_pattern(pattern: str) -> str:
        # It reads a text once, however many stars there are.
        return "(^|\\n)" + f"{_IN_LINE}*".join(re.escape(piece) for piece in pattern.split("*")) + "($|\\n)"

    @staticmethod
    def expression(pattern: str) -> str:
        return f"(?im)^{_pieces(pattern, _IN_LINE)}$"


def _pieces(pattern: str, letter: str) -> str:
    """The expression for Python: what fits a piece in the middle is not tried again for what comes behind it."""
    first, *middle = pattern.split("*")
    if not middle:
        return re.escape(first)
    last = middle.pop()
    once = "".join(f"(?>{letter}*?{re.escape(piece)})" for piece in middle)
    return f"{re.escape(first)}{once}{letter}*{re.escape(last)}"


__all__ = ["MOST_WILDCARDS", "checked"]
