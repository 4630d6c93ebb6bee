"""The entries of a menu, as the template draws them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.urls import reverse
from django.utils.http import urlencode

from base.action import Who
from base.actions.action import Opening
from base.actions.registry import Offer, actions_for
from spool.actions import VERBS
from spool.console.list_views import ALL

# Which messages are meant by a thing: the conditions of the spool's list (spool.filters).
_MESSAGES_OF = {"user": "sender", "sender": "sender", "ip": "ip", "domain": "sender-domain"}


@dataclass(frozen=True, slots=True)
class Item:
    """A link, a form that is posted, or a button that opens a dialog."""

    label: str
    icon: str
    url: str = ""
    vals: str = ""
    link: str = ""
    post_to: str = ""
    values: dict[str, str] = field(default_factory=dict)
    danger: bool = False


def items_of(kind: str, key: str, actor: Who) -> list[Item]:
    """What this person may do to a thing as it is now."""
    return [_item(offer) for offer in actions_for(kind, key, actor)]


def items_for_messages(query: str, names: Iterable[str] = ("delete", "move")) -> list[Item]:
    """What can be done to the messages that a query of the spool's list shows: its own dialogs."""
    vals = json.dumps({"all": "1", "query": query, "page": ALL})
    verbs = [VERBS[name] for name in names]
    return [
        Item(
            _OF_ALL.get(verb.name, verb.label),
            verb.icon,
            reverse("admin:spool_entry_dialog", args=[verb.short]),
            vals,
            danger=verb.danger,
        )
        for verb in verbs
    ]


def query_of(kind: str, key: str) -> str:
    """The query of the spool's list that shows the messages of a thing; empty where it has none."""
    condition = _MESSAGES_OF.get(kind, "")
    return urlencode({condition: key}) if condition else ""


# The specification's word for it where it is about all messages of somebody.
_OF_ALL = {"delete": "Delete Messages"}


def _item(offer: Offer) -> Item:
    action, target = offer.action, offer.target
    label = action.label_of(target)
    if isinstance(action, Opening):
        posted = action.posted(target)
        if posted:
            return Item(label, action.icon, post_to=action.place(target), values=posted)
        return Item(label, action.icon, link=action.place(target))
    url = reverse("thing_dialog", args=[target.kind, action.name])
    return Item(label, action.icon, url, json.dumps({"key": target.key}), danger=action.danger)
