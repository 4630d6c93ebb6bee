"""What administrators do to the spool: one function each, called by page, command and job alike.

Each checks the role, says what it will do (`preview`), leaves alone what is on the wire, works in chunks that may be
interrupted at any point, and is written down as one AuditEvent. How entries are chosen is spool.filters' business.
"""

from spool.actions.actor import Actor, NotAllowed
from spool.actions.exports import FORMATS, export
from spool.actions.jobs import cancel, may_cancel
from spool.actions.perform import Outcome, Preview, perform, preview
from spool.actions.put_back_files import put_back
from spool.actions.selection import Selection
from spool.actions.undo_event import can_undo, undo, undoable
from spool.actions.verbs import VERBS, WORKS, Refused, Tally, Verb

__all__ = [
    "FORMATS",
    "VERBS",
    "WORKS",
    "Actor",
    "NotAllowed",
    "Outcome",
    "Preview",
    "Refused",
    "Selection",
    "Tally",
    "Verb",
    "can_undo",
    "cancel",
    "export",
    "may_cancel",
    "perform",
    "preview",
    "put_back",
    "undo",
    "undoable",
]
