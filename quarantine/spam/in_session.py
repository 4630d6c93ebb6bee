"""Asking the checks for spam about a message that is still in its session, within a total time. In doubt, take it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from django.db import Error as DatabaseError

from accounts.models.spam import is_off
from quarantine.engines.examined import Examined
from quarantine.models.antispam import AntispamSettings
from quarantine.models.check import CheckKind, last_checks
from quarantine.spam import verdict_cache
from quarantine.spam.concurrency import Room
from quarantine.spam.disposition import choices_of, chooser_of
from quarantine.spam.listed_senders import Proofs, decided, lists_of_submission
from quarantine.spam.owner_policy import wish_in
from quarantine.spam.score import Findings, ask, weigh
from quarantine.spam.trusted_senders import trusted_of, voucher
from quarantine.spam.watched_settings import Counts
from spool.files import store
from spool.message.envelope import Submission
from spool.smtpd.database import asked

log = logging.getLogger(__name__)

# Under which name refusals are counted, among the checks.
REFUSED: Final = "Refused while it came in"


class ContentCheck:
    """Of one listener. Loop thread only."""

    def __init__(self) -> None:
        self.counts = Counts()
        # For the messages of all sessions together. Waiting counts for the total time.
        self._room = Room()

    async def refuses(self, submission: Submission, examined: Examined, settings: AntispamSettings) -> str:
        """Why the message is to be refused; "" to take it, also when it could not be found out."""
        sender = submission.envelope.sender
        try:
            async with asyncio.timeout(settings.reject_seconds):
                findings = await self._ask(examined)
                if findings is None or not findings.complete:
                    return ""
                why = await _over(submission, examined, findings, settings)
                if not why:
                    submission.file_name = store.new_file_names(1)[0]
                    await asyncio.to_thread(verdict_cache.keep, submission.file_name, findings)
        except TimeoutError:
            log.warning("taken unchecked, from <%s>: no answer within %d s", sender, settings.reject_seconds)
            return ""
        except DatabaseError as error:
            log.warning("taken, from <%s>: the database could not be asked: %s", sender, error)
            return ""
        except Exception:  # the edge of a check: it must not keep mail out
            log.exception("taken unchecked, from <%s>", sender)
            return ""
        self._count(findings, refused=bool(why))
        return why

    async def against_policy(self, submission: Submission, examined: Examined, settings: AntispamSettings) -> str:
        """Why its domain's owner wants it refused (DMARC); "" to take it, also when it could not be found out."""
        wanted = [check for check in last_checks() if check.inbound and check.kind == CheckKind.DMARC][:1]
        if not wanted:
            return ""
        try:
            async with asyncio.timeout(settings.reject_seconds), self._room.for_one(examined):
                findings = await ask(examined, wanted)
        except TimeoutError:
            log.warning("DMARC was not found out in time, from <%s>", submission.envelope.sender)
            return ""
        except Exception:  # the edge of a check: it must not keep mail out
            log.exception("DMARC was not found out, from <%s>", submission.envelope.sender)
            return ""
        wish = wish_in(findings, submission.envelope.client_ip, settings)
        return wish.why if wish is not None and wish.is_reject else ""

    async def _ask(self, examined: Examined) -> Findings | None:
        wanted = [check for check in last_checks() if check.inbound]
        if not wanted:
            return None
        async with self._room.for_one(examined):
            return await ask(examined, wanted)

    def _count(self, findings: Findings, *, refused: bool) -> None:
        for one in findings.results:
            self.counts[one.check].add(hit=one.points > 0, failed=False, seconds=one.seconds)
        self.counts[REFUSED].add(hit=refused, failed=False, seconds=0.0)


async def _is_allowed(submission: Submission, examined: Examined, settings: AntispamSettings) -> bool:
    """Whether one of its recipients allows its sender: the answer is one for all, so that the others get it as spam."""
    lists = await asked(lists_of_submission, submission, examined, settings)
    found = await decided(lists, Proofs(examined))
    return any(not entry.blocks for entry in found.values())


def examined_of(submission: Submission, settings: AntispamSettings) -> Examined:
    """A message for all that is asked about it: what is found out once is known to all of them. Close it in the end.

    Raises OSError.
    """
    envelope, content = submission.envelope, submission.content
    path = submission.spilled or Path()
    size = len(content) if content is not None else path.stat().st_size
    return Examined(
        path,
        size,
        envelope.sender,
        tuple(one.address for one in envelope.recipients),
        envelope.client_ip,
        envelope.ehlo_name,
        max_content_bytes=settings.max_content_bytes,
        held=content,
    )


async def _over(submission: Submission, examined: Examined, findings: Findings, settings: AntispamSettings) -> str:
    """Why it is over the threshold for all its recipients, or "". The database is asked only for what is."""
    judgement = weigh(findings, settings)
    if judgement.score < settings.reject_from:
        return ""
    sender = submission.envelope.sender
    if sender in await asked(trusted_of, {sender}) and await voucher(examined):
        return ""
    if await _is_allowed(submission, examined, settings):
        return ""
    addresses = [chooser_of(one) for one in submission.envelope.recipients]
    choices = await asked(choices_of, addresses, settings)
    if any(is_off(choices.get(address, ())) for address in addresses):
        return ""
    return judgement.why
