"""The columns that the lists of quarantined messages can have."""

from __future__ import annotations

from typing import Final

from spool.console.columns import Choosable
from spool.console.listing import Column

OF_ITEMS: Final = Choosable(
    (
        Column("File Name", "c-name", "-file_name", name="file-name", width=152),
        Column("Date", "c-date", "-id", name="date", width=150),
        Column("Sender", "c-sender", "sender", name="sender"),
        Column("Recipient", "c-to", name="recipient"),
        Column("Recipients", "c-rcpt right", "-recipients_total", name="recipients", width=84),
        Column("Client IP", "c-ip", name="client-ip", width=128),
        Column("User", "c-user", name="user", width=150),
        Column("Size", "c-size right", "-size_bytes", name="size", width=70),
        Column("Attempts", "c-tries right", "-attempts", name="attempts", width=74),
        Column("Time in Quarantine", "c-age right", "-id", True, name="age", width=130),
        Column("Time of Removal", "c-removal right", "removal", name="removal", width=150),
    ),
    hidden=frozenset({"file-name", "client-ip", "user"}),
)
