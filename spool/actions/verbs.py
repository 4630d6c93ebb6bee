"""All actions by name."""

from __future__ import annotations

from spool.actions.moving import Move
from spool.actions.queueing import ChangePriority, Force, Hold, Release, ResetRetries
from spool.actions.redirecting import Redirect
from spool.actions.removing import Delete
from spool.actions.resending import ResendCopy
from spool.actions.verb import Refused, Tally, Verb

VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Force(), ResetRetries(), ChangePriority(), Hold(), Release(), Delete(), Move(), Redirect(), ResendCopy(),
    )
}  # fmt: skip

__all__ = ["VERBS", "Refused", "Tally", "Verb"]
