"""The counting itself, on the way of the mail: one row for each commit, whatever its number of messages.

Everything here runs inside the transaction that makes those messages, or their outcomes, durable.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from spool.models.recipient import Kind
from spool.rows import statements

# Sender, client IP, and whether it goes elsewhere.
Receipt = tuple[str, str, bool]
# Who handed a message in: the user who logged in, "" for whoever did not, None for what this server made itself.
Login = str | None
# A message that waits after its first attempt: login, sender, client IP, and the domains that did not take it.
Deferral = tuple[str, str, str, list[str]]
# Outcome, kind of recipient, sender, client IP, recipient, and when the message came in.
Ending = tuple[str, str, str, str, str, datetime | str]

# What the trace has as the host of a local recipient whose message went on: an alias or a list, which is no mailbox,
# and a mailbox that forwards. What they become is counted by itself; so of these only a mailbox without a copy is.
ALIAS: Final = "alias"
LIST: Final = "list"
FORWARDED: Final = "forward"
KEPT_AND_FORWARDED: Final = "forward+copy"
# A post is still mail of its sender, and of the sender's domain, to people here: its copies are the list's.
POST: Final = "post"
NO_DELIVERIES: Final = (ALIAS, LIST, KEPT_AND_FORWARDED)


def counted_as(kind: str, host: str) -> str:
    """What to put for the kind of a recipient that was delivered; empty for what is counted elsewhere."""
    if kind != Kind.LOCAL.value or host not in NO_DELIVERIES:
        return kind
    return POST if host == LIST else ""


def receipts(received: Sequence[Receipt], now: datetime, logins: Sequence[Login] = ()) -> None:
    """Count messages that were taken in; `logins` say by whom, one for each of them."""
    # Beside them, not in them: the version before goes on adding up what it knows.
    _keep({"at": round(now.timestamp(), 3), "r": received} | ({"rl": logins} if logins else {}))


def endings(
    ended: Sequence[Ending], now: datetime, logins: Sequence[str] = (), deferred: Sequence[Deferral] = ()
) -> None:
    """Count recipients that have come to their end, of messages of these `logins`; and what was `deferred`."""
    batch: dict[str, object] = {name: rows for name, rows in (("e", ended), ("el", logins), ("d", deferred)) if rows}
    if batch:
        _keep({"at": round(now.timestamp(), 3)} | batch)


def _keep(batch: dict[str, object]) -> None:
    statements.execute(
        "INSERT INTO spool_trafficbatch (payload) VALUES (%s)", (json.dumps(batch, default=str),), kept=True
    )
