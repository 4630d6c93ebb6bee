"""What the audit says of limits and the guard."""

from __future__ import annotations

from base.audit import sentences
from base.audit.sentences import Event
from spool.sentences import counted


def _given_back(event: Event) -> str:
    # Two rows: what was given back to the user, and that it was.
    return sentences.put_together(event) or counted("given back")(event)


sentences.of_actions({"throttle release": counted("released"), "guard undo": _given_back})
