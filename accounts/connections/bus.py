"""Asking every listener process at once, through Redis: which connections they have, or to end some of them.

A listener subscribes to one channel and is silent until it is asked; a connection costs nothing. A question names the
list that answers go to, and Redis says how many heard it, so that a missing answer is noticed. Redis keeps nothing:
when it is gone, nobody can ask, and that is said.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, cast

from django.conf import settings
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from redis import Redis
from redis.exceptions import RedisError

from accounts.connections.connection import Connection, Match, Unreachable
from base import redis_url

log = logging.getLogger(__name__)

CHANNEL = "mailspool:connections"
ANSWER_SECONDS = 2.0
# A late answer, to which nobody listens any more, is gone after this.
_KEPT_SECONDS = 30
_PING_SECONDS = 10.0
_REDIS_SECONDS = 3.0
_RETRY_SECONDS = 0.5


class Source(Protocol):
    """A process that holds connections."""

    def connections(self, match: Match, most: int) -> tuple[Sequence[Connection], int]:
        """Up to `most` of those that fit, and how many fit."""

    async def end(self, match: Match, text: str) -> int:
        """End those that fit, telling each client `text`; returns how many there were, once they are gone."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the listeners said; `silent` of them did not in time."""

    rows: list[dict[str, Any]]
    silent: int


def ask(verb: str, match: Match, **more: Any) -> Answers:
    """Ask all listeners to `list` or `end`. Raises Unreachable when Redis does not answer."""
    key = f"mailspool:answers:{secrets.token_hex(8)}"
    question = json.dumps({"verb": verb, "match": match.as_json(), "answer_to": key, **more})
    try:
        client = _client()
        heard = client.publish(CHANNEL, question)
        until = time.monotonic() + ANSWER_SECONDS
        rows: list[dict[str, Any]] = []
        while len(rows) < heard and (left := until - time.monotonic()) > 0:
            found = cast("tuple[bytes, bytes] | None", client.blpop([key], timeout=max(left, 0.01)))
            if found is not None:
                rows.append(json.loads(found[1]))
        client.delete(key)
    except (RedisError, OSError) as error:
        raise Unreachable(
            format_lazy(_("Redis does not answer ({error}), so the SMTP listeners could not be asked."), error=error)
        ) from error
    return Answers(rows, heard - len(rows))


@cache
def _client() -> Redis:
    return redis_url.client(
        str(settings.RQ_CONNECTION["URL"]),
        socket_connect_timeout=_REDIS_SECONDS,
        socket_timeout=_REDIS_SECONDS + ANSWER_SECONDS,
    )


async def serve_questions(source: Source) -> None:
    """Answer for the connections of this process, for ever; a task of its loop. Redis may come and go."""
    while True:
        try:
            await _serve(source)
        except (RedisError, OSError) as error:
            log.debug("nobody can ask for connections now: %s", error)
        except Exception:  # the edge of the task: it must not end before its process
            log.exception("a question for connections could not be answered")
        await asyncio.sleep(_RETRY_SECONDS)


async def _serve(source: Source) -> None:
    # No timeout for reads: it waits for questions. A ping in between finds out that Redis is gone.
    client = redis_url.async_client(str(settings.RQ_CONNECTION["URL"]), socket_connect_timeout=_REDIS_SECONDS)
    async with client, client.pubsub() as channel:
        await channel.subscribe(CHANNEL)
        is_pinged = False
        while True:
            message = await channel.get_message(timeout=_PING_SECONDS)
            if message is None:
                if is_pinged:
                    raise ConnectionError("no answer to a ping")
                await channel.ping()
                is_pinged = True
                continue
            is_pinged = False
            if message["type"] == "message":
                question = json.loads(message["data"])
                answer = json.dumps({"who": f"{socket.gethostname()}:{os.getpid()}", **await _answer(source, question)})
                async with client.pipeline(transaction=False) as pipe:
                    pipe.rpush(question["answer_to"], answer)
                    pipe.expire(question["answer_to"], _KEPT_SECONDS)
                    await pipe.execute()


async def _answer(source: Source, question: dict[str, Any]) -> dict[str, Any]:
    match = Match.from_json(question["match"])
    if question["verb"] == "end":
        return {"ended": await source.end(match, question["text"])}
    found, total = source.connections(match, question["most"])
    return {"connections": [connection.as_json() for connection in found], "total": total}
