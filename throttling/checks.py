"""The SMTP check that refuses mail beyond a limit: `throttling.checks.RejectThrottled` in SPOOL_SMTP_CHECKS.

A message is counted when it is there as a whole, so that those that never end count for nobody. Who has just been
refused is refused at MAIL, before anything is sent.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from accounts import directory
from accounts.directory import LocalList, LocalUser, Miss
from accounts.models import Metric, ThrottleAction
from base.expiring import ExpiringDict
from spool.message.envelope import Envelope
from spool.smtpd.checks import Reply, SMTPCheck
from spool.smtpd.database import asked
from throttling import bounces, subjects
from throttling.collecting import Counting
from throttling.counting import windows
from throttling.counting.state import Window
from throttling.models import ThrottleSettings
from throttling.subjects import Cost, Limited, Subject, SubjectKind
from throttling.wording import Reached, reply

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession

log = logging.getLogger(__name__)

REMEMBER_SECONDS = 1.0
# Where one message has no room no other has: a smaller one may have in a limit of bandwidth or recipients.
_SAME_FOR_ALL = (Metric.MESSAGES, Metric.BOUNCES)


class RejectThrottled(SMTPCheck):
    """Asks for nothing when nobody concerned has a limit that rejects."""

    def __init__(self) -> None:
        self._counting = Counting()
        self._refused: ExpiringDict[Subject, Reached] = ExpiringDict(REMEMBER_SECONDS)

    async def on_mail(self, session: MailSession, sender: str) -> Reply | None:
        if not self._refused:
            return None
        for one in await _limited(session):
            reached = self._refused.get(one.subject)
            if reached is not None:
                return await _reply(reached)
        return None

    async def on_rcpt(self, session: MailSession, recipient: str) -> Reply | None:
        """A list that may send no more takes nothing either."""
        if directory.cached_any_hourly_limits() is False:
            return None
        found = directory.cached(recipient)
        if isinstance(found, Miss):
            found = await asked(directory.lookup, recipient)
        if not isinstance(found, LocalList) or not found.hourly_limits:
            return None
        over = await asked(_list_over, found)
        return await _reply(over) if over is not None else None

    async def on_message(self, session: MailSession, envelope: Envelope, size_bytes: int) -> Reply | None:
        limited = await _limited(session)
        if not limited:
            return None
        cost = Cost(len(envelope.recipients), size_bytes)
        question = (
            *subjects.charges(limited, cost, rejecting=True, has_session=True),
            *bounces.charges(limited, rejecting=True, has_session=True),
        )
        if not question:
            return None
        refused = await self._counting.refused(question)
        if refused is None:
            return None
        if refused.limit.metric in _SAME_FOR_ALL:
            self._refused.keep(refused.subject, refused)
        return await _reply(refused)


async def _limited(session: MailSession) -> list[Limited]:
    """Whom a session's mail counts for."""
    if session.user is None:
        return subjects.of_client(session.client_ip, (await _settings()).ip_limits)
    user, domain = directory.cached(session.user.address), directory.cached_domain(session.user.domain)
    if isinstance(user, Miss) or isinstance(domain, Miss):
        user = await asked(directory.lookup, session.user.address)
        domain = await asked(directory.local_domain, session.user.domain)
    assert not isinstance(domain, Miss)
    if not isinstance(user, LocalUser) or not (user.hourly_limits or (domain is not None and domain.hourly_limits)):
        return []
    return subjects.of_user(user, domain)


_reading: asyncio.Future[ThrottleSettings] | None = None


async def _settings() -> ThrottleSettings:
    """The settings, at most a second old: one session reads them for all that wait."""
    global _reading
    if ThrottleSettings.is_fresh():
        return ThrottleSettings.last_read()
    if _reading is None or _reading.done():
        _reading = asyncio.ensure_future(asked(ThrottleSettings.current))
    return await asyncio.shield(_reading)


def _list_over(mailing_list: LocalList) -> Reached | None:
    """A limit of the list's that rejects, and is used up."""
    subject = Subject(SubjectKind.LIST, mailing_list.address)
    limits = [limit for limit in mailing_list.hourly_limits if limit.action is ThrottleAction.REJECT]
    try:
        states = windows.look(Window(subject, limit.metric) for limit in limits)
    except (RedisError, DatabaseError) as error:
        log.warning("the use of %s could not be looked up: %s", subject, error)
        return None
    for limit in limits:
        state = states[Window(subject, limit.metric)]
        if limit.metric is not Metric.BOUNCES and state.used >= limit.amount:
            return Reached(subject, limit, state.used, None, over=True)
    return None


async def _reply(reached: Reached) -> Reply:
    return Reply(*reply(reached, permanent=(await _settings()).reject_permanently))
