"""Which quarantined messages are meant: one filter for page, command and bulk job. It reads, and changes nothing."""

from quarantine.filters.conditions import ITEM_FIELDS, ItemFilter
from quarantine.filters.pages import LARGE, SORTS, Plan, count, page
from quarantine.filters.terms import search

__all__ = ["ITEM_FIELDS", "LARGE", "SORTS", "ItemFilter", "Plan", "count", "page", "search"]
