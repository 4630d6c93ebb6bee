"""All actions by name."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping

from spool.actions.delete import Delete
from spool.actions.empty_trash import EmptyTrash
from spool.actions.move import Move
from spool.actions.queue import ChangePriority, Force, Hold, Release, ResetRetries
from spool.actions.redirect import Redirect
from spool.actions.resend import ResendCopy
from spool.actions.retry_waiting import RetryWaiting
from spool.actions.undo_job import Undo
from spool.actions.verb import Refused, Tally, Verb

# Those for messages in the spool, in the order in which they are offered; the trash has one of its own.
OF_ENTRIES: tuple[Verb, ...] = (
    Force(),
    ResetRetries(),
    ChangePriority(),
    Hold(),
    Release(),
    Redirect(),
    ResendCopy(),
    Move(),
    Delete(),
)
OF_TRASH: tuple[Verb, ...] = (EmptyTrash(),)

VERBS: dict[str, Verb] = {verb.name: verb for verb in (*OF_ENTRIES, *OF_TRASH)}

# What jobs are made for: Undo and Retry have their own choice of entries, so they are no actions on those that match.
# Other apps add their own verbs to VERBS when Django starts.
WORKS: Mapping[str, Verb] = ChainMap(VERBS, {Undo.name: Undo(), RetryWaiting.name: RetryWaiting()})

__all__ = ["OF_ENTRIES", "OF_TRASH", "VERBS", "WORKS", "Refused", "Tally", "Verb"]
