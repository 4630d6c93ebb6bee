"""What the audit says of limits and the guard."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _lazy

from base.audit import sentences
from base.audit.sentences import Event
from spool.sentences import counted


def _given_back(event: Event) -> str:
    # Two rows: what was given back to the user, and that it was.
    return sentences.put_together(event) or counted(_lazy("given back"))(event)


sentences.of_titles(
    {
        "throttle release": _lazy("Release from throttling"),
        "throttle set": _lazy("Set Limits"),
        "guard undo": _lazy("Undo the guard's action"),
    }
)
sentences.of_actions({"throttle release": counted(_lazy("released")), "guard undo": _given_back})
