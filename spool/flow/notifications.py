"""From results to the notification messages that an entry's sender gets: composed by spool.dsn, addressed here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings as django_settings

from spool import languages
from spool.addressing import RefusedRecipient, accept_from_nobody
from spool.dsn.compose import LARGEST_RETURNED_BYTES
from spool.dsn.notices import Notice, notices_for
from spool.message.envelope import Envelope, LeasedEntry, RecipientResult, Submission
from spool.message.summary import storable
from spool.message.tls_wish import TLSWish
from spool.models.entry import Origin, Priority
from spool.models.settings import Settings

log = logging.getLogger(__name__)


def notifications(
    entry: LeasedEntry,
    results: Sequence[RecipientResult],
    settings: Settings,
    now: datetime,
    delayed_until: datetime | None = None,
) -> list[Submission]:
    """The messages to the reverse-path that `results` call for."""
    hostname = django_settings.MAILSPOOL_HOSTNAME
    notices = notices_for(
        entry,
        results,
        now=now,
        hostname=hostname,
        postmaster=settings.postmaster or f"postmaster@{hostname}",
        delayed_until=delayed_until,
        # A larger message goes back as its header: there is no use in reading more of it.
        read=lambda: entry.read_head(LARGEST_RETURNED_BYTES + 1),
        language=lambda: languages.of_address(entry.sender),
    )
    return [submission for notice in notices if (submission := _submission(notice, entry)) is not None]


def _submission(notice: Notice, entry: LeasedEntry) -> Submission | None:
    """A notice as a message to the reverse-path, from the null sender; None when that address takes no mail."""
    try:
        recipients = accept_from_nobody(notice.to, notify="NEVER")
    except RefusedRecipient as error:
        log.warning("%s: no notice to its sender: %s", entry.file_name, error.reply)
        return None
    # Whoever has us make many of them, for hosts that say nothing, must not have others wait (spool.flow.lanes).
    envelope = Envelope(
        "",
        recipients,
        origin=Origin.DSN,
        priority=Priority.LOW,
        smtputf8=notice.smtputf8,
        eight_bit=notice.eight_bit,
        # It has the header of a message that had to be kept secret: it is protected alike (RFC 8689 5).
        tls_wish=TLSWish.REQUIRED if entry.tls_wish == TLSWish.REQUIRED else TLSWish.USUAL,
    )
    return Submission(
        envelope,
        notice.content,
        subject=storable(notice.subject),
        message_id=storable(notice.message_id),
        parent=entry.file_name,
        notice=notice.action.value,
    )
