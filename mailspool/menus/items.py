"""The entries of a menu, as the template draws them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.action import Who
from base.actions.action import Opening
from base.actions.registry import Offer, actions_for
from base.texts import Text
from quarantine.console.actions import buttons_for
from quarantine.console.list_views import URL_NAMES
from quarantine.filters import ItemFilter
from quarantine.models.item import ItemKind
from spool.actions import VERBS, Actor
from spool.console.actions import ACTIONS, Button, offered
from spool.console.list_views import ALL, WAITING
from spool.filters import BadFilter, SpoolFilter

# Which messages are meant by a thing: the conditions of the spool's list (spool.filters).
_MESSAGES_OF = {"user": "sender", "sender": "sender", "ip": "ip", "domain": "sender-domain"}


@dataclass(frozen=True, slots=True)
class Item:
    """A link, a form that is posted, or a button that opens a dialog."""

    label: Text
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
            _OF_ALL.get(verb.name, str(verb.label)),
            verb.icon,
            reverse("admin:spool_entry_dialog", args=[verb.short]),
            vals,
            danger=verb.danger,
        )
        for verb in verbs
    ]


def items_of_list(page: str, query: str, actor: Actor) -> tuple[str, list[Item]]:
    """What this person may do with all messages that a query of a list means, and which they are.

    `page` is the name of the list's URL.

    Raises BadFilter.
    """
    room = _rooms().get(page)
    if room is None:
        raise BadFilter(_("There is no such list."))
    vals = json.dumps({"all": "1", "query": query, "page": page})
    items = [
        Item(button.title, button.icon, reverse(room.dialog, args=[button.url]), vals, danger=button.danger)
        for button in room.buttons(actor)
    ]
    return room.sentence(QueryDict(query)), items


@dataclass(frozen=True, slots=True)
class _Room:
    """A list: the URL of its dialogs, its actions, and what a query of it means in words."""

    dialog: str
    buttons: Callable[[Actor], list[Button]]
    sentence: Callable[[QueryDict], str]


def _rooms() -> dict[str, _Room]:
    def of_spool(query: QueryDict) -> str:
        return SpoolFilter.from_query(query).sentence()

    def of_quarantine(kind: ItemKind) -> Callable[[QueryDict], str]:
        return lambda query: ItemFilter.from_query(query, kind=kind.value).sentence()

    in_spool = _Room("admin:spool_entry_dialog", lambda actor: offered(ACTIONS, actor), of_spool)
    in_quarantine = {
        name: _Room("admin:quarantine_item_dialog", partial(buttons_for, kind), of_quarantine(kind))
        for kind, name in URL_NAMES.items()
    }
    return {ALL: in_spool, WAITING: in_spool, **in_quarantine}


def query_of(kind: str, key: str) -> str:
    """The query of the spool's list that shows the messages of a thing; empty where it has none."""
    condition = _MESSAGES_OF.get(kind, "")
    return urlencode({condition: key}) if condition else ""


# The specification's word for it where it is about all messages of somebody.
_OF_ALL = {"delete": _lazy("Delete Messages")}


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
