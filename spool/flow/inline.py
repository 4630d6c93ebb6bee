"""Whether small messages may do without a file: only once every worker knows where else to look for them.

One of a version before, on another machine or during an upgrade, may take such a message for one whose file is missing.
Those tell Redis that they live, and whether they know; today's tell the database, and do. While Redis is away what was
known last stays true.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final, cast

from django.conf import settings
from redis.exceptions import RedisError

from base import redis_client

log = logging.getLogger(__name__)

# How often the workers are looked at. Beside what is done meanwhile: Redis may take its time.
LOOK_SECONDS: Final = 5.0
# Signs of life of workers of the version before, and the field of those that know.
_WORKERS_BEFORE: Final = "mailspool:worker:"
_READS_ROWS: Final = "reads-rows"

_all_know = False
_looked = float("-inf")
_turn = threading.Lock()


def limit_bytes() -> int:
    """Up to which size a message needs no file, in bytes; 0 when each needs one."""
    global _looked
    limit = int(settings.MAILSPOOL_INLINE_KB) * 1024
    if limit and time.monotonic() - _looked >= LOOK_SECONDS:
        _looked = time.monotonic()
        threading.Thread(target=_look_aside, name="versions", daemon=True).start()
    return limit if _all_know else 0


def look() -> bool:
    """Whether all workers that are alive read messages without a file. Raises RedisError."""
    client = redis_client.redis()
    for key in client.scan_iter(f"{_WORKERS_BEFORE}*", count=1000):
        alive, knows = cast("list[bytes | None]", client.hmget(key, "alive", _READS_ROWS))
        if alive is not None and knows is None:
            return False
    return True


def _look_aside() -> None:
    global _all_know
    with _turn:
        try:
            _all_know = look()
        except RedisError as error:
            log.debug("the workers' versions are not known: %s", error)
