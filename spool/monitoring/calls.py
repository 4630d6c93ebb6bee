"""A call to all programs, by Redis: look at once what your machine is to do. Who does not hear it looks soon anyway."""

from __future__ import annotations

import logging
from typing import Final

from redis.exceptions import RedisError

from base.redis_client import redis

log = logging.getLogger(__name__)

# How many calls there were. It comes back empty without harm: then it has changed, too.
_KEY: Final = "mailspool:calls"


def call() -> None:
    """Call all programs. Never raises."""
    try:
        redis().incr(_KEY)
    except RedisError as error:
        log.debug("nobody could be called: %s", error)


class Calls:
    """A program's, as far as it has heard them."""

    def __init__(self) -> None:
        self._last = self._number()

    def came(self) -> bool:
        """Whether there was one since the last time that this was asked. Never raises."""
        number = self._number()
        came, self._last = number != self._last and number is not None, number or self._last
        return came

    def _number(self) -> bytes | None:
        try:
            found: bytes | None = redis().get(_KEY)  # type: ignore[assignment]
        except RedisError:
            return None
        return found or b"0"
