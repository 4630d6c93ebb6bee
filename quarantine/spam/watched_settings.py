"""How a listener keeps up with the page Antispam: read once a second in a thread, so that no session waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from django.db import Error as DatabaseError
from django.utils import timezone

from quarantine.check_counts import Tallied, Tallies, write_down
from quarantine.models.antispam import AntispamSettings, FollowDMARC
from quarantine.models.check import current_checks
from spool.smtpd.database import asked, what_failed

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
# Called once a second, after the settings were read.
_also: list[Callable[[], Awaitable[None]]] = []
_task: asyncio.Task[None] | None = None


async def watch(also: Callable[[], Awaitable[None]]) -> None:
    """From now on AntispamSettings.last_read() and last_checks() are those of a second ago; then `also` is called."""
    global _task
    _also.append(also)
    if _task is None:
        await _read()
        _task = asyncio.ensure_future(_keep_reading())


async def _keep_reading() -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        await _read()


async def _read() -> None:
    for work in (_read_settings, *_also):
        try:
            await work()
        except DatabaseError as error:
            log.warning("the antispam settings stay as they were: %s", what_failed(error), extra={"seldom": True})
        except Exception:  # the edge of the task: it must not end before its process
            log.exception("keeping up with the antispam settings failed")


async def _read_settings() -> None:
    await asked(_settings)


def _settings() -> None:
    settings = AntispamSettings.current()
    if settings.reject or settings.follow_dmarc == FollowDMARC.FULLY:
        current_checks()


class Counts:
    """What a check of this listener has done, by name, until it is written down among the statistics."""

    def __init__(self) -> None:
        self._tallies = Tallies()

    def __getitem__(self, name: str) -> Tallied:
        return self._tallies[name]

    async def write_down(self) -> None:
        """For `watch`. Raises django.db.Error; what was not written then is lost."""
        tallies, self._tallies = self._tallies, Tallies()
        if tallies:
            await asked(write_down, tallies, timezone.now())
