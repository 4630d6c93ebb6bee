"""Export of what is in quarantine: rows alone. Messages leave it one by one, after a warning, or by Move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from quarantine.actions.selection import ItemSelection
from quarantine.models.item import Item, ItemState
from spool.actions.actor import Actor
from spool.actions.exports import Exported, export_of
from spool.places import trash

FORMATS: Final = ("csv", "json")


def export(what: Any, form: str, actor: Actor) -> Iterator[bytes]:
    """The bytes of the export, piece by piece. Raises NotAllowed and Refused, at once."""
    actor.require_actions()
    return export_of(_ITEMS, ItemSelection.of(what), form, actor)


def _items(ids: list[int]) -> list[Item]:
    held = Item.objects.filter(id__in=ids, state=ItemState.HELD)
    return list(held.defer("entry", "recipients", "findings").order_by("id"))


def _rows(batch: list[Item]) -> Iterator[dict[str, Any]]:
    for item in batch:
        yield {
            **{name: getattr(item, name) for name in _ITEMS.columns if name != "recipients"},
            "recipients": item.addresses.splitlines(),
            "direction": item.get_direction_display(),
        }


_ITEMS = Exported(
    "quarantine-export",
    (
        "file_name",
        "kind",
        "why",
        "score",
        "sender",
        "recipients",
        "recipients_done",
        "recipients_total",
        "size_bytes",
        "attempts",
        "created",
        "at",
        "removal",
        "direction",
        "subject",
        "message_id",
        "client_ip",
        "auth_user",
    ),
    _items,
    _rows,
    trash.sources_of,
    FORMATS,
)
