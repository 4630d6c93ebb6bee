"""What the checks found out about a message is kept while it waits, so that they are not asked again for that alone.

Only complete answers that let it pass are kept, in the database: any worker may take up the message next.
They count until an administrator wants waiting mail to be looked at anew, as after an update of signatures.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef

from quarantine.models.item import ItemKind, Pardon
from quarantine.models.scanned import Scanned
from quarantine.spam.score import Findings
from spool.message.envelope import LeasedEntry
from spool.models.entry import ON_THEIR_WAY, Entry, Origin
from spool.rows import statements

CHUNK: Final = 5_000
_MADE_OF_OTHERS: Final = (Origin.FORWARD.value, Origin.LIST.value)


def note(entry: LeasedEntry, kind: ItemKind, at: datetime, findings: Findings | None = None) -> None:
    """Have this written down should the entry come to rest. `at` is when its check began."""
    entry.notes += ((kind.value, at, findings),)


def write(kind: ItemKind, entries: Sequence[LeasedEntry]) -> None:
    """Write down what was noted of entries. Raises django.db.Error."""
    rows = [
        Scanned(entry_id=entry.id, kind=kind, at=at, findings=findings.as_json() if findings else [])
        for entry in entries
        for noted, at, findings in entry.notes
        if noted == kind.value
    ]
    if rows:
        with statements.relaxed_transaction():
            Scanned.objects.bulk_create(
                rows, update_conflicts=True, unique_fields=["entry_id", "kind"], update_fields=["at", "findings"]
            )


def known(kind: ItemKind, entries: Sequence[LeasedEntry], since: datetime | None) -> dict[int, Any]:
    """What is known of those of the entries that were checked `since` then, or ever. One query, none for new mail.

    A forward and a list's copy know what was found out about the message that they were made of.
    """
    waited = [
        entry.id
        for entry in entries
        if entry.attempts or entry.status not in ON_THEIR_WAY or entry.origin in _MADE_OF_OTHERS
    ]
    if not waited:
        return {}
    rows = Scanned.objects.filter(entry_id__in=waited, kind=kind)
    return dict((rows.filter(at__gte=since) if since else rows).values_list("entry_id", "findings"))


def inherit(kind: ItemKind, children: Sequence[tuple[int, LeasedEntry]]) -> None:
    """Write down for new entries, by their ids, what is known of those that they are made of, and what is pardoned.

    Call it in the transaction that makes them; raises django.db.Error. Two queries, and one for each kind of row found.
    """
    parents = {entry.id: entry for _, entry in children}
    noted = {
        number: (at, findings.as_json() if findings else [])
        for number, entry in parents.items()
        for name, at, findings in entry.notes
        if name == kind.value
    }
    if unnoted := parents.keys() - noted.keys():
        kept = Scanned.objects.filter(entry_id__in=unnoted, kind=kind)
        noted |= {number: (at, findings) for number, at, findings in kept.values_list("entry_id", "at", "findings")}
    Scanned.objects.bulk_create(
        Scanned(entry_id=child, kind=kind, at=noted[parent.id][0], findings=noted[parent.id][1])
        for child, parent in children
        if parent.id in noted
    )
    pardons = dict(Pardon.objects.filter(entry_id__in=parents, kind=kind).values_list("entry_id", "at"))
    Pardon.objects.bulk_create(
        Pardon(entry_id=child, kind=kind, at=pardons[parent.id]) for child, parent in children if parent.id in pardons
    )


def delete(entry_ids: Collection[int]) -> None:
    """Entries that were away from the spool are checked again."""
    Scanned.objects.filter(entry_id__in=list(entry_ids)).delete()


def tidy() -> None:
    """Forget those that have left the spool, some at a time: others write as well."""
    last = 0
    while ids := list(Scanned.objects.filter(id__gt=last).order_by("id").values_list("id", flat=True)[:CHUNK]):
        here = Entry.objects.filter(id=OuterRef("entry_id"))
        Scanned.objects.filter(~Exists(here), id__gt=last, id__lte=ids[-1]).delete()
        last = ids[-1]
