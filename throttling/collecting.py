"""Counting for the sessions of one listener, many messages at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.models import Metric
from throttling import bounces, events, notices, windows
from throttling.replay import seconds_until
from throttling.subjects import Charge
from throttling.windows import Window
from throttling.wording import Reached

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
threads = ThreadPoolExecutor(1, thread_name_prefix="throttle-smtp")

Question = Sequence[Charge]


async def answers(questions: Sequence[Question]) -> list[Reached | None]:
    """Count messages, each for all its charges, unless one refuses it: then that one, and nothing is counted for it."""
    return await asyncio.get_running_loop().run_in_executor(threads, count, questions)


def count(questions: Sequence[Question]) -> list[Reached | None]:
    """For each message what refused it. Nothing does while Redis or the database can't be asked: mail goes on."""
    try:
        return _count(questions)
    except RedisError as error:
        log.warning("Redis is away, nothing is throttled: %s", error)
        windows.mistrust()
    except DatabaseError as error:
        connection.close()
        log.warning("the database is away, nothing is throttled: %s", error)
    except Exception:  # the edge of counting: it must not keep mail out
        log.exception("throttling failed")
    return [None] * len(questions)


def _count(questions: Sequence[Question]) -> list[Reached | None]:
    now = timezone.now()
    reached: dict[tuple[object, Metric], Reached] = {}
    answers: list[Reached | None] = []
    requests: list[list[Charge]] = []
    for question in questions:
        of_bounces = [charge for charge in question if charge.limit.metric is Metric.BOUNCES]
        refusal = bounces.refusal(of_bounces, reached, now)  # type: ignore[arg-type]
        answers.append(reached[refusal.subject, Metric.BOUNCES] if refusal is not None else None)
        counted = [charge for charge in question if charge.limit.metric is not Metric.BOUNCES]
        requests.append(counted if refusal is None else [])
    found = windows.count(requests)
    for window, charge in found.charges.items():
        used = found.states[window].used
        if notices.is_close(used, charge.limit.amount):
            reached.setdefault(window, Reached(charge.subject, charge.limit, used))
    for place, refused in enumerate(found.refusals):
        if refused is not None:
            state = found.states[Window(refused.subject, refused.limit.metric)]
            seconds = seconds_until(state, refused.limit.amount, refused.cost)
            answer = Reached(refused.subject, refused.limit, state.used, now + timedelta(seconds=seconds), over=True)
            answers[place] = reached[refused.subject, refused.limit.metric] = answer
    events.note(reached.values(), now)
    return answers
