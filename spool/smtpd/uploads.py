"""Large messages on their way into the bucket (spool.files.bucket), before the commit that makes them messages.

The object is announced by a row first, so that one whose message never comes to be is found and removed; then it is
put, and is durable; then the committer makes its row the message's. Only messages that go there wait for that, a few at
once: while the bucket is away, slow or refuses, their senders hear 451.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from django.db import Error as DatabaseError
from django.utils import timezone

from spool.files import bucket, store
from spool.flow.intake import IntakeUnavailable
from spool.message.envelope import Submission
from spool.places import objects
from spool.smtpd.database import asked, what_failed

log = logging.getLogger(__name__)

# So many are put at once, of one listener; so many more may wait for their turn.
AT_ONCE: Final = 4
MOST_WAITING: Final = 50
# For one, waiting included: clients wait for the reply for ten minutes (RFC 5321 4.5.3.2.6).
LONGEST_SECONDS: Final = 240.0


class Uploads:
    """Loop thread only."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def store(self, submission: Submission) -> None:
        """Have a message that is to go there in the bucket; nothing for any other. Raises IntakeUnavailable."""
        if submission.spilled is None or not bucket.is_set():
            return
        stored = False
        try:
            submission.stored_as = await self._put(submission.spilled)
            stored = True
        except DatabaseError as error:
            log.error("a large message was not taken: %s", what_failed(error), extra={"seldom": True})
            raise IntakeUnavailable from error
        except OSError as error:
            log.error("a large message was not taken: %s", error, extra={"seldom": True})
            raise IntakeUnavailable from error
        finally:
            # Also when the session is ended meanwhile.
            if not stored:
                store.unlink(submission.spilled)

    async def _put(self, path: Path) -> str:
        """The key of its object; "" for what does not go there."""
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        if not bucket.takes(size_bytes):
            return ""
        if self._waiting >= MOST_WAITING:
            raise bucket.Away("too many messages wait for the bucket")
        self._waiting += 1
        try:
            async with asyncio.timeout(LONGEST_SECONDS), self._turns:
                key: str = await asked(objects.announce, size_bytes, timezone.now())
                await bucket.put(key, path)
        finally:
            self._waiting -= 1
        return key
