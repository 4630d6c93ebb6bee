"""The bucket that large messages may be in (MAILSPOOL_S3): putting, reading and removing objects, within bounded times.

It knows nothing of messages: which objects are whose is said by rows (spool.rows.objects). The client is imported with
the first question, and belongs to the process that asked: it has threads, which a fork would not have.

An object is put in pieces and read in pieces, so that few of its bytes are in memory. What fails is an OSError: Away
when the store did not do it in time, refused it or is not there, and FileNotFoundError for an object that is gone.
After a failure nothing is asked for a few seconds: who waits for a store that hangs waits once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from base.buckets import Bucket

if TYPE_CHECKING:
    from datetime import datetime

    from obstore.store import S3Store

log = logging.getLogger(__name__)

# What is put and read at a time. S3 takes no smaller piece than 5 MiB, but for the last.
PUT_BYTES: Final = 5 * 1024 * 1024
READ_BYTES: Final = 4 * 1024 * 1024
# Of an object, so many pieces are on their way at once.
_PIECES_AT_ONCE: Final = 2
# For a whole object, and for one request.
PUT_SECONDS: Final = 120.0
REQUEST_SECONDS: Final = 20.0
_CONNECT_SECONDS: Final = 3.0
# A failed request is made again within this.
_RETRY_SECONDS: Final = 5.0
_MOST_RETRIES: Final = 2
# How long nothing is asked after a failure.
REST_SECONDS: Final = 5.0
_SHOWN: Final = 300


class Away(OSError):
    """The store did not do what it was asked for; it may another time."""


_stores: dict[int, S3Store] = {}
_rests_until = float("-inf")


def is_set() -> bool:
    """Whether there is one."""
    return settings.MAILSPOOL_S3 is not None


def takes(size_bytes: int) -> bool:
    """Whether a new message of that size goes there."""
    most_kb: int = settings.MAILSPOOL_S3_KB
    return is_set() and settings.MAILSPOOL_STORE == "database" and 0 < most_kb * 1024 <= size_bytes


async def put(key: str, path: Path) -> None:
    """Have the file there, durable. Raises OSError; then it may be there or not, or come to be there a little later."""
    from obstore import put_async

    with _asking():
        await asyncio.wait_for(
            put_async(_store(), key, path, chunk_size=PUT_BYTES, max_concurrency=_PIECES_AT_ONCE), PUT_SECONDS
        )


def put_bytes(key: str, content: bytes) -> None:
    """The same for a small one, in this thread."""
    from obstore import put

    with _asking():
        put(_store(), key, content)


def pieces(key: str, size_bytes: int) -> Iterator[bytes]:
    """An object of that size, READ_BYTES at a time. Raises OSError."""
    from obstore import get_range

    for start in range(0, size_bytes, READ_BYTES):
        length = min(READ_BYTES, size_bytes - start)
        with _asking():
            piece = bytes(get_range(_store(), key, start=start, length=length))
        if len(piece) != length:
            raise Away(f"{key} in {settings.MAILSPOOL_S3} is shorter than it was")
        yield piece


def remove(keys: Sequence[str]) -> None:
    """Remove objects, which may be gone already. Raises OSError."""
    from obstore import delete

    if keys:
        with _asking():
            delete(_store(), list(keys))


def sizes(prefix: str) -> Iterator[tuple[str, int, datetime]]:
    """The objects whose keys begin with that folder: key, bytes, and when each was put. Raises OSError."""
    import obstore

    with _asking():
        for some in obstore.list(_store(), prefix, chunk_size=1000):
            yield from ((str(one["path"]), int(one["size"]), one["last_modified"]) for one in some)


def probe(key: str) -> None:
    """Put, read and remove an object of that key. Raises OSError."""
    put_bytes(key, b"probe")
    if b"".join(pieces(key, 5)) != b"probe":
        raise Away(f"{settings.MAILSPOOL_S3} gives back something else than was put there")
    remove([key])


def forget() -> None:
    """Begin anew: with other settings, and without a rest."""
    global _rests_until
    _stores.clear()
    _rests_until = float("-inf")


@contextmanager
def _asking() -> Iterator[None]:
    """Around one question: whatever it fails with is an OSError, and the next ones rest for a while."""
    global _rests_until
    if not is_set():
        raise Away("the message is in a bucket, and MAILSPOOL_S3 names none")
    if time.monotonic() < _rests_until:
        raise Away(f"{settings.MAILSPOOL_S3} has just failed")
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, TimeoutError) as error:
        text = _said(error)
        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in text:
            raise FileNotFoundError(f"{settings.MAILSPOOL_S3} has no such object any more") from error
        _rests_until = time.monotonic() + REST_SECONDS
        raise Away(f"{settings.MAILSPOOL_S3}: {text}") from error


def _said(error: BaseException) -> str:
    """What the client says, on one line and without its debugging."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = re.sub(r"\s+", " ", str(error).partition("Debug source:")[0]).strip()
    return text[:_SHOWN] or type(error).__name__


def _store() -> S3Store:
    found = _stores.get(os.getpid())
    if found is None:
        from obstore.store import S3Store

        found = _stores[os.getpid()] = S3Store(**_options())
    return found


def _options() -> dict[str, Any]:
    bucket: Bucket | None = settings.MAILSPOOL_S3
    assert bucket is not None
    options: dict[str, Any] = {
        "bucket": bucket.name,
        "prefix": bucket.prefix or None,
        "region": settings.MAILSPOOL_S3_REGION,
        "client_options": {
            "allow_http": bucket.endpoint.startswith("http:"),
            "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            "timeout": timedelta(seconds=REQUEST_SECONDS),
            "user_agent": "Mailspool",
        },
        "retry_config": {"max_retries": _MOST_RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
    }
    if bucket.endpoint:
        # Buckets as names of hosts need a DNS that knows them.
        options |= {"endpoint": bucket.endpoint, "virtual_hosted_style_request": False}
    if settings.MAILSPOOL_S3_KEY:
        options |= {
            "access_key_id": settings.MAILSPOOL_S3_KEY,
            "secret_access_key": settings.MAILSPOOL_S3_SECRET,
        }
    return options
