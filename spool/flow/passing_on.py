"""Which recipients get a message under another reverse-path: those to whom something of ours sends a stranger's on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from accounts import directory
from spool import sender_rewriting
from spool.message.envelope import LeasedEntry
from spool.models.recipient import Kind

log = logging.getLogger(__name__)

_SAY_SECONDS = 60.0
_said = -_SAY_SECONDS


def rewrite_senders(entries: Sequence[LeasedEntry]) -> None:
    """Give recipients elsewhere, to whom an alias or a mailbox here sends a stranger's mail on, their reverse-path.

    The entry keeps its own: it is what all pages show, what mailboxes here get, and where our own notices go. One look
    at the directory for all; none when no such recipient is among them. Never raises but for the database: a message
    whose reverse-path can't be rewritten goes out as it came.
    """
    found = [
        (entry, recipient.id, entry.sender.rpartition("@")[2], recipient.original.rpartition("@")[2])
        for entry in entries
        if entry.sender
        for recipient in entry.recipients
        if recipient.original and recipient.kind is Kind.REMOTE
    ]
    if not found:
        return
    domains = directory.local_domains({name for _, _, *names in found for name in names})
    ours = {name for name, domain in domains.items() if domain is not None}
    for entry, recipient_id, sender_domain, domain in found:
        if domain in ours and sender_domain not in ours and (path := _rewritten(entry, domain)):
            entry.reverse_paths = {**(entry.reverse_paths or {}), recipient_id: path}


def _rewritten(entry: LeasedEntry, domain: str) -> str:
    """The reverse-path; empty when there is none to be had."""
    global _said
    try:
        return sender_rewriting.rewritten(entry.sender, domain, entry.file_name)
    except (OSError, ValueError) as error:
        # A home that is not there, or not mounted, has no key.
        if time.monotonic() - _said >= _SAY_SECONDS:
            _said = time.monotonic()
            log.error("reverse-paths are not rewritten: %s", error)
        return ""
