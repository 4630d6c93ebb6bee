"""Other places that messages are kept in after a stage took them out of the spool (SPOOL_HOLDERS in settings).

What takes an entry away as `Taken` answers here for it: for its file while that is still in the spool's folder, for
results that a worker brings late, for what a crash left behind, and for what is to be removed in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from spool.files.finding import Finding
from spool.message.envelope import RecipientResult


class Holder:
    """One such place. Subclasses are named by dotted path."""

    def sizes(self, names: Sequence[str]) -> Any:
        """A queryset of (file name, size in bytes) of those of `names` that are kept here."""
        raise NotImplementedError

    def entry_ids(self, names: Sequence[str]) -> set[int]:
        """The ids that those of `names` had in the spool."""
        raise NotImplementedError

    def holding(self, entry_ids: Sequence[int]) -> set[int]:
        """Those of the ids, which they had in the spool, that are kept here: their content stays in rows, if it is."""
        raise NotImplementedError

    def note_delivered(self, entry_id: int, results: Sequence[RecipientResult], now: datetime) -> None:
        """Recipients who had the message after all: they must not get it again. Called in a transaction."""
        raise NotImplementedError

    def relocate(self, *, to_database: bool) -> Iterator[int]:
        """Have the content of all that is kept here in the database, or in files, a few at a time; how many each time
        (spool.places.relocation)."""
        raise NotImplementedError

    def examine(self) -> Iterator[Finding]:
        """What is wrong here, for the doctor."""
        raise NotImplementedError

    def tidy(self, now: datetime) -> None:
        """Finish what was interrupted, and remove what is past its time; called each hour."""
        raise NotImplementedError


@cache
def holders() -> tuple[Holder, ...]:
    """Those of SPOOL_HOLDERS."""
    return tuple(import_string(path)() for path in django_settings.SPOOL_HOLDERS)
