"""All actions by name."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping

from spool.actions.emptying import EmptyTrash
from spool.actions.moving import Move
from spool.actions.queueing import ChangePriority, Force, Hold, Release, ResetRetries
from spool.actions.redirecting import Redirect
from spool.actions.removing import Delete
from spool.actions.resending import ResendCopy
from spool.actions.restoring import Undo
from spool.actions.verb import Refused, Tally, Verb

VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Force(), ResetRetries(), ChangePriority(), Hold(), Release(), Delete(), Move(), Redirect(), ResendCopy(),
        EmptyTrash(),
    )
}  # fmt: skip

# What jobs are made for: Undo has its own choice of entries, so it is no action on those that match.
# Other apps add their own verbs to VERBS when Django starts.
WORKS: Mapping[str, Verb] = ChainMap(VERBS, {Undo.name: Undo()})

__all__ = ["VERBS", "WORKS", "Refused", "Tally", "Verb"]
