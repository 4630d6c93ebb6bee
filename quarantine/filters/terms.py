"""The search box: what its words are taken for."""

from __future__ import annotations

from quarantine.filters.conditions import ITEM_FIELDS, ItemFilter
from quarantine.models.item import Item
from spool.filters import BadFilter, understand


def search(text: str) -> dict[str, str]:
    """What the words of the search box are taken for, as texts by field name. Raises BadFilter."""
    found: dict[str, str] = {}
    words = []
    for term in understand(text, in_quarantine):
        if term.field == "sender-domain":
            found["sender"] = f"*@{term.value}"
        elif term.field == "domain":
            found["recipient"] = f"*@{term.value}"
        elif term.field in ITEM_FIELDS:
            found[term.field] = term.value
        else:
            words.append(term.value)
    if words:
        found["subject"] = " ".join([found.get("subject", ""), *words]).strip()
    ItemFilter.parse(found)
    return found


def in_quarantine(name: str, value: str) -> bool:
    """Whether something in quarantine meets one condition: a look at an index or two."""
    try:
        return ItemFilter.parse({name: value}).apply(Item.objects.all()).exists()
    except BadFilter:
        return False
