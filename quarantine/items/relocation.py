"""After MAILSPOOL_STORE was changed: what is in quarantine goes to the new place (spool.places.relocation)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quarantine.filters import LARGE
from quarantine.items import transfer
from quarantine.models.item import Item, ItemState
from spool.models.content import IN_DATABASE
from spool.places import relocation
from spool.places.relocation import Message
from spool.rows import contents as content_rows
from spool.rows import statements

_KEPT = (ItemState.HELD, ItemState.DELETED)


def relocate(*, to_database: bool) -> Iterator[int]:
    """Move all items, chunk by chunk; how many each time. Raises OSError and django.db.Error."""
    places = Item.objects.filter(state__in=_KEPT).defer(*LARGE).order_by("id")
    places = places.exclude(subspool=IN_DATABASE) if to_database else places.filter(subspool=IN_DATABASE)
    last = 0
    while items := list(places.filter(id__gt=last)[: relocation.CHUNK]):
        last = items[-1].id
        yield _to_database(items) if to_database else _to_files(items)


def _to_database(items: Sequence[Item]) -> int:
    with statements.write_transaction():
        carried = relocation.carry_in(_messages(_locked(items)))
        _set_place(carried, IN_DATABASE)
    relocation.remove_files(message.path for message in carried)
    return len(carried)


def _to_files(items: Sequence[Item]) -> int:
    with relocation.carrying_out() as out, statements.write_transaction():
        subspool, carried = out.write(_messages(_locked(items)))
        _set_place(carried, subspool)
        content_rows.remove([message.entry_id for message in carried])
    # First to the spool's folder, as everything that comes to the quarantine.
    transfer.put_files_away([message.entry_id for message in carried])
    return len(carried)


def _locked(items: Sequence[Item]) -> list[Item]:
    return transfer.locked(Item.objects.filter(id__in=[item.id for item in items], state__in=_KEPT))


def _messages(items: Sequence[Item]) -> list[Message]:
    return [Message(item.entry_id, item.file_name, item.size_bytes, item.path) for item in items]


def _set_place(carried: Sequence[Message], subspool: str) -> None:
    """In the row, and in the entry that it is made anew of."""
    if not carried:
        return
    clause, parameters = statements.id_list([message.entry_id for message in carried])
    statements.execute(
        f"UPDATE quarantine_item SET subspool = %s, entry = jsonb_set(entry, '{{subspool}}', to_jsonb(%s::text))"
        f" WHERE entry_id {clause}",
        [subspool, subspool, *parameters],
    )
