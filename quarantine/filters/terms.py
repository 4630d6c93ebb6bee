"""The search box: what its words are taken for."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _

from quarantine.filters.conditions import ITEM_FIELDS, ItemFilter
from quarantine.models.item import Item
from spool.filters import FIELDS, BadFilter, understand
from spool.filters.terms import OPERATORS

# A domain is asked for as a pattern of addresses.
_PATTERNS: Final = {"sender-domain": "sender", "domain": "recipient"}
# What may stand before a colon, and which condition it is.
_OPERATORS: Final = {
    **{name: condition for name, condition in OPERATORS.items() if condition in ITEM_FIELDS},
    **{name: name for name in (*ITEM_FIELDS, *_PATTERNS)},
    "id": "message-id",
}


def search(text: str) -> dict[str, str]:
    """What the words of the search box are taken for, as texts by field name. Raises BadFilter."""
    found: dict[str, str] = {}
    for term in understand(text, in_quarantine, _OPERATORS, {**FIELDS, **ITEM_FIELDS}):
        name = _PATTERNS.get(term.field, term.field)
        value = term.value if name == term.field else f"*@{term.value}"
        if found.setdefault(name, value) != value:
            raise BadFilter(
                _("%(found)s and %(value)s are both for the %(name)s; search for one of them.")
                % {"found": found[name], "value": value, "name": name}
            )
    ItemFilter.parse(found)
    return found


def in_quarantine(name: str, value: str) -> bool:
    """Whether something in quarantine meets one condition: a look at an index or two."""
    try:
        return ItemFilter.parse({name: value}).apply(Item.objects.all()).exists()
    except BadFilter:
        return False
