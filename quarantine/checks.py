"""What is done about spam in an SMTP session, where the page Antispam asks for it (SPOOL_SMTP_CHECKS)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from django.db import Error as DatabaseError
from django.utils import timezone

from accounts import directory
from accounts.addresses import key_of
from accounts.models.spam import is_off
from base.expiring import ExpiringSet
from quarantine.greylisting import Triplet, decide, triplet_of
from quarantine.models.antispam import AntispamSettings, FollowDMARC
from quarantine.spam import watched_settings
from quarantine.spam.disposition import heard
from quarantine.spam.in_session import ContentCheck, examined_of
from quarantine.spam.watched_settings import Counts
from security import lists
from spool.smtpd.batched_questions import Together
from spool.smtpd.checks import Reply, SMTPCheck
from spool.smtpd.database import asked, what_failed
from spool.trusted import trusts

if TYPE_CHECKING:
    from quarantine.engines.examined import Examined
    from spool.message.envelope import EnvelopeRecipient, Submission
    from spool.smtpd.session import MailSession
    from spool.smtpd.shared import Shared

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 200
REMEMBER_SECONDS: Final = 60.0
MOST_REMEMBERED: Final = 20_000
# Under which name greylisting is counted, among the checks.
GREYLISTED: Final = "Greylisting"


def passes(session: MailSession) -> bool:
    """Whether a client is not looked at: who logs in, may send anywhere, or was put on the whitelist by somebody."""
    ip, now = session.client_ip, lists.current()
    return session.user is not None or trusts(ip) or now.skips_spam_checks(ip) or now.vouched_for(ip)


class Greylisting(SMTPCheck):
    """Lets strangers wait. Costs a look at the settings, in memory, while it is off."""

    def __init__(self) -> None:
        self._waits: Together[Triplet, int] = Together(_waits, MOST_AT_ONCE)
        # What was let in a moment ago need not be asked again.
        self._let_in: ExpiringSet[Triplet] = ExpiringSet(REMEMBER_SECONDS, MOST_REMEMBERED)
        self._counts = Counts()

    async def start(self, shared: Shared) -> None:
        await watched_settings.watch(self._counts.write_down)

    async def on_rcpt(self, session: MailSession, recipient: str) -> Reply | None:
        settings, envelope = AntispamSettings.last_read(), session.transaction
        if not settings.greylist or envelope is None or passes(session) or not await _is_taken(recipient, settings):
            return None
        try:
            triplet = triplet_of(session.client_ip, envelope.sender, recipient)
        except ValueError:
            return None
        if triplet in self._let_in:
            return None
        seconds = await self._waits.ask(triplet)
        self._counts[GREYLISTED].add(hit=seconds > 0, failed=False, seconds=0.0)
        if not seconds:
            self._let_in.add(triplet)
            return None
        text = f"You have not written to <{recipient}> before; try again in {seconds} seconds"
        return Reply(451, "4.7.1", text, is_fault=False)


async def _waits(triplets: Sequence[Triplet]) -> list[int]:
    """In how many seconds each may try again, or 0."""
    try:
        return await asked(decide, triplets, AntispamSettings.last_read(), timezone.now())
    except DatabaseError as error:
        log.warning("nobody has to wait: %s", what_failed(error), extra={"seldom": True})
    except Exception:  # the edge of greylisting: it must not keep mail out
        log.exception("greylisting failed")
    return [0] * len(triplets)


async def _is_taken(recipient: str, settings: AntispamSettings) -> bool:
    """Whether mail for it is taken here, and looked at: what is refused anyway is not made to try again."""
    domain, found = directory.cached_domain(recipient.rpartition("@")[2]), directory.cached(recipient)
    if domain is None or recipient.startswith("postmaster@"):
        return False
    if isinstance(domain, directory.Miss) or found is None or isinstance(found, directory.Miss):
        found = await asked(directory.resolve, recipient)
        if found is None:
            return False
        domain = await asked(directory.local_domain, found.domain)
    assert not isinstance(domain, directory.Miss)
    return not is_off(heard(found, domain, settings))


class RejectSpam(SMTPCheck):
    """Refuses spam at the end of DATA. Costs a look at the settings, in memory, while it is off."""

    def __init__(self) -> None:
        self._check = ContentCheck()

    async def start(self, shared: Shared) -> None:
        await watched_settings.watch(self._check.counts.write_down)

    async def on_content(self, session: MailSession, submission: Submission) -> Reply | None:
        settings = AntispamSettings.last_read()
        follows = settings.follow_dmarc == FollowDMARC.FULLY
        if not (settings.reject or follows) or passes(session):
            return None
        # A stranger's mail comes in, wherever an address of ours leads to.
        if any(_is_postmaster(one) for one in submission.envelope.recipients):
            return None
        try:
            examined = examined_of(submission, settings)
        except OSError:
            # No check can be asked of what can't be read: whoever stores it says what is wrong.
            log.exception("taken unchecked, from <%s>", submission.envelope.sender)
            return None
        try:
            return await self._objection(session, submission, examined, settings, follows=follows)
        finally:
            examined.close()

    async def _objection(
        self,
        session: MailSession,
        submission: Submission,
        examined: Examined,
        settings: AntispamSettings,
        *,
        follows: bool,
    ) -> Reply | None:
        sender = submission.envelope.sender
        if follows and (why := await self._check.against_policy(submission, examined, settings)):
            log.info("refused, from <%s> at %s: %s", sender, session.client_ip, why)
            return Reply(550, "5.7.1", f"{why}; mail that was forwarded can fail by that")
        if not settings.reject:
            return None
        why = await self._check.refuses(submission, examined, settings)
        if not why:
            return None
        log.info("refused as spam, from <%s> at %s: %s", sender, session.client_ip, why)
        appeal = f"tell the postmaster of {session.hostname} by another way"
        return Reply(550, "5.7.1", f"This looks like spam and is not taken; if that is a mistake, {appeal}")


def _is_postmaster(recipient: EnvelopeRecipient) -> bool:
    """Whom to tell of mistakes (RFC 5321 4.5.1)."""
    return key_of(recipient.original or recipient.address).startswith("postmaster@")
