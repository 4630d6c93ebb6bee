"""The columns that a list of messages can have, and which of them it shows at first; those of the lists of entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext_lazy as _lazy

from spool.console.listing import Column


@dataclass(frozen=True, slots=True)
class Choosable:
    """Columns that somebody can choose from, in their usual order, and those that are not shown until chosen."""

    columns: tuple[Column, ...]
    hidden: frozenset[str]

    @property
    def at_first(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.name not in self.hidden)

    def named(self, names: Iterable[str]) -> tuple[Column, ...]:
        """Those columns, in that order; a name that is unknown is left out."""
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in dict.fromkeys(names) if name in by_name)


# `width` in pixels; columns without share what is left.
OF_ENTRIES: Final = Choosable(
    (
        Column(_lazy("Filename"), "c-name", "-file_name", name="file-name", width=150),
        Column(_lazy("Spool Path"), "c-path", name="path", width=112),
        Column(_lazy("Sender"), "c-sender", "sender", name="sender"),
        Column(_lazy("Recipient"), "c-to", name="recipient"),
        Column(_lazy("Destination"), "c-domain", name="destination", width=136),
        Column(_lazy("Recipients"), "c-rcpt right", "", name="recipients", width=82),
        Column(_lazy("Size"), "c-size right", "-size_bytes", name="size", width=66),
        Column(_lazy("Attempts"), "c-tries right", "-attempts", name="attempts", width=78),
        Column(_lazy("Time in Spool"), "c-age right", "-id", True, name="age", width=104),
        Column(_lazy("Priority"), "c-prio", "-priority", name="priority", width=76),
        Column(_lazy("Status"), "c-status", "status", name="status", width=140),
        Column(_lazy("Next Attempt"), "c-next right", "next_attempt", name="next-attempt", width=100),
        Column(_lazy("Machine"), "c-machine", name="machine", width=112),
    ),
    hidden=frozenset({"file-name", "path", "machine"}),
)
