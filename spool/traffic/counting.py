"""The counting itself, on the way of the mail: one row for each commit, whatever its number of messages.

Everything here runs inside the transaction that makes those messages, or their outcomes, durable.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from spool import statements

# Sender, client IP, and whether it goes elsewhere.
Receipt = tuple[str, str, bool]
# Outcome, kind of recipient, sender, client IP, recipient, and when the message came in.
Ending = tuple[str, str, str, str, str, datetime | str]


def receipts(received: Sequence[Receipt], now: datetime) -> None:
    """Count messages that were taken in."""
    _keep({"at": round(now.timestamp(), 3), "r": received})


def endings(ended: Sequence[Ending], now: datetime) -> None:
    """Count recipients that have come to their end."""
    _keep({"at": round(now.timestamp(), 3), "e": ended})


def _keep(batch: dict[str, object]) -> None:
    statements.execute("INSERT INTO spool_trafficbatch (payload) VALUES (%s)", (json.dumps(batch, default=str),))
