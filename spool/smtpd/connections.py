"""This process's sessions as accounts.connections asks for them, and the logins that go into the history."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.db import Error as DatabaseError

from accounts import directory, login_history
from accounts.connections import Connection, Match
from accounts.connections.registry import GOODBYE
from accounts.directory_cache import reconnect_when_needed
from spool.monitoring import programs
from spool.monitoring.names import machine
from spool.smtpd.database import asked

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession
    from spool.smtpd.shared import Shared

log = logging.getLogger(__name__)

# How long a question may wait for messages that are just being committed; their sessions end after that.
END_SECONDS = 1.5
LOOK_SECONDS = 1.0
WRITE_SECONDS = 2.0


class Sessions:
    """accounts.connections.Source of one listener. Loop thread only."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        # Kept, because a task that nobody holds may be collected.
        self._endings: set[asyncio.Future[None]] = set()

    def connections(self, match: Match, most: int) -> tuple[list[Connection], int]:
        """The newest of those that fit."""
        fitting = sorted(self._fitting(match), key=lambda session: session.since, reverse=True)
        return [_connection(session) for session in fitting[:most]], len(fitting)

    async def end(self, match: Match, text: str) -> int:
        """A message that is being committed gets its answer first; everything else is cut off where it is."""
        fitting = list(self._fitting(match))
        ending = asyncio.ensure_future(self._see_off(fitting, text))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        await asyncio.wait([ending], timeout=END_SECONDS)
        return len(fitting)

    async def _see_off(self, sessions: list[MailSession], text: str) -> None:
        """Until all are over. A client that does not even take what it is told is cut off by the session's timer."""
        rest = 0.005
        while left := [session for session in sessions if not session.is_over]:
            for session in left:
                session.end(text)
            await asyncio.sleep(rest)
            rest = min(2 * rest, 0.1)

    async def end_those_who_may_not_send(self) -> None:
        """The safety net for a question that Redis lost: who is logged in and was disabled since is sent away."""
        users = {session.user.address: session.user.id for session in self._shared.sessions if session.user is not None}
        if not users:
            return
        known = await asked(directory.lookup_many, set(users))
        gone = frozenset(
            address
            for address, number in users.items()
            if not isinstance(found := known[address], directory.LocalUser)
            or found.id != number
            or not found.status.may_send
        )
        if gone:
            await self.end(Match(users=gone), GOODBYE)

    def send_away_when_draining(self) -> None:
        """Who waits for a command hears that no mail is taken here any more; the others hear it after their message."""
        if programs.is_draining():
            for session in list(self._shared.sessions):
                if session.waits_for_command:
                    session.say_goodbye(session.closing)

    def _fitting(self, match: Match) -> Iterator[MailSession]:
        for session in self._shared.sessions:
            if match.fits(user=_user_of(session), ip=session.client_ip, id=_id_of(session)):
                yield session


async def keep_looking(sessions: Sessions) -> None:
    """Send away, within a second or two, who may not send any more, and everybody while we drain; for ever."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        sessions.send_away_when_draining()
        try:
            await sessions.end_those_who_may_not_send()
        except DatabaseError as error:
            log.debug("who may still send could not be looked up: %s", error)
        except Exception:  # the edge of the task: it must not end before its process
            log.exception("who may still send could not be looked up")


async def keep_writing_logins(pending: login_history.Pending) -> None:
    """Write the logins of this process every WRITE_SECONDS, for ever."""
    while True:
        await asyncio.sleep(WRITE_SECONDS)
        await write_logins(pending)


async def write_logins(pending: login_history.Pending) -> None:
    """Write what is pending; it stays pending when the database does not take it."""
    taken = pending.take()
    if not taken:
        return
    try:
        await asyncio.to_thread(_write, taken)
    except DatabaseError as error:
        log.warning("logins could not be written down, later: %s", error)
        pending.put_back(taken)


def _write(taken: dict[login_history.Origin, login_history.Seen]) -> None:
    reconnect_when_needed()
    login_history.write(taken)


def _user_of(session: MailSession) -> str:
    """Who is logged in, or whose password is being looked at: a login that has begun must not slip through."""
    return session.user.address if session.user is not None else session.claimed_user


def _id_of(session: MailSession) -> str:
    return f"{id(session):x}-{int(session.since * 1000):x}"


def _connection(session: MailSession) -> Connection:
    protocol = "Submission" if session.port.submission else "SMTP"
    since = datetime.now(UTC) - timedelta(seconds=session.loop.time() - session.since)
    user = session.user.address if session.user is not None else ""
    return Connection(
        _id_of(session),
        protocol,
        user,
        session.client_ip,
        since,
        session.messages,
        session.ehlo_name,
        machine=machine(),
    )
