"""Which entries are meant: one filter language for page, command and bulk job. It reads, and changes nothing."""

from spool.filters.conditions import SpoolFilter
from spool.filters.fields import FIELDS, BadFilter, Field
from spool.filters.orders import SORTS, place_of
from spool.filters.pages import Count, Page, Plan, count, page
from spool.filters.terms import Term, from_text, understand
from spool.filters.units import parse_age, parse_size

__all__ = [
    "FIELDS",
    "SORTS",
    "BadFilter",
    "Count",
    "Field",
    "Page",
    "Plan",
    "SpoolFilter",
    "Term",
    "count",
    "from_text",
    "page",
    "parse_age",
    "parse_size",
    "place_of",
    "understand",
]
