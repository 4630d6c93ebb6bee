"""The columns that the lists of quarantined messages can have."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _lazy

from spool.console.columns import Choosable
from spool.console.listing import Column

OF_ITEMS: Final = Choosable(
    (
        Column(_lazy("File Name"), "c-name", "-file_name", name="file-name", width=152),
        Column(_lazy("Date"), "c-date", "-id", name="date", width=150),
        Column(_lazy("Sender"), "c-sender", "sender", name="sender"),
        Column(_lazy("Recipient"), "c-to", name="recipient"),
        Column(_lazy("Recipients"), "c-rcpt right", "-recipients_total", name="recipients", width=84),
        Column(_lazy("Client IP"), "c-ip", name="client-ip", width=128),
        Column(_lazy("User"), "c-user", name="user", width=150),
        Column(_lazy("Size"), "c-size right", "-size_bytes", name="size", width=70),
        Column(_lazy("Attempts"), "c-tries right", "-attempts", name="attempts", width=74),
        Column(_lazy("Time in Spool"), "c-age right", "-id", True, name="age", width=108),
        Column(_lazy("Time of Removal"), "c-removal right", "removal", name="removal", width=150),
    ),
    hidden=frozenset({"file-name", "client-ip", "user"}),
)
