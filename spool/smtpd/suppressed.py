"""The check that refuses recipients to whom a domain of ours sends nothing any more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import Error as DatabaseError

from accounts import directory
from accounts.models.suppression import SuppressionMode
from spool import suppression
from spool.smtpd.checks import Reply, SMTPCheck
from spool.smtpd.database import asked, what_failed

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession

log = logging.getLogger(__name__)


class SuppressionCheck(SMTPCheck):
    """For mail of our own people, by the list of the sender's domain. No query for domains that refuse nothing."""

    async def on_rcpt(self, session: MailSession, recipient: str) -> Reply | None:
        envelope = session.transaction
        if envelope is None or not envelope.sender or not session.is_one_of_us:
            return None
        name = suppression.domain_of_sender(envelope.sender)
        try:
            domain = directory.cached_domain(name)
            if isinstance(domain, directory.Miss):
                domain = await asked(directory.local_domain, name)
            if domain is None or domain.suppression != SuppressionMode.REFUSE:
                return None
            said = suppression.cached_refusal(domain.name, recipient)
            if said is None:
                said = await asked(suppression.refusal, domain.name, recipient)
        except DatabaseError as error:
            # What is taken in the meantime is bounced when it is its turn.
            log.warning("no look at the suppression list: %s", what_failed(error))
            return None
        return Reply(550, "5.7.1", f"<{recipient}>: {said}", is_fault=False) if said else None
