"""The columns that the lists of entries have, and which of them a list shows at first."""

from __future__ import annotations

from typing import Final

from spool.console.listing import Column

# `width` in pixels; columns without share what is left.
ALL: Final = (
    Column("Filename", "c-name", "-file_name", name="file-name", width=150),
    Column("Spool Path", "c-path", name="path", width=112),
    Column("Sender", "c-sender", "sender", name="sender"),
    Column("Recipient", "c-to", name="recipient"),
    Column("Destination", "c-domain", name="destination", width=118),
    Column("Recipients", "c-rcpt right", "", name="recipients", width=82),
    Column("Size", "c-size right", "-size_bytes", name="size", width=66),
    Column("Attempts", "c-tries right", "-attempts", name="attempts", width=78),
    Column("Time in Spool", "c-age right", "-id", True, name="age", width=104),
    Column("Priority", "c-prio", "-priority", name="priority", width=76),
    Column("Status", "c-status", "status", name="status", width=140),
    Column("Next Attempt", "c-next right", "next_attempt", name="next-attempt", width=100),
)
BY_NAME: Final = {column.name: column for column in ALL}
AT_FIRST: Final = tuple(name for name in BY_NAME if name not in ("file-name", "path"))
