"""Counting without holding anything, many messages at a time: for the sessions of a listener, and what is owed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta

from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.models import Metric
from spool.smtpd.batched_questions import Together
from spool.smtpd.database import what_failed
from throttling import bounces, events, notices
from throttling.counting import windows
from throttling.counting.allowance import SettledSoon, can_be_owed
from throttling.counting.replay import seconds_until
from throttling.counting.state import Rooms, Window
from throttling.subjects import Charge
from throttling.wording import Reached

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
threads = ThreadPoolExecutor(1, thread_name_prefix="throttle-smtp")

Question = Sequence[Charge]


class Counting(Together[Question, Reached | None]):
    """Counts messages, each for all its charges, unless one refuses it: then that one, and nothing is counted for it.

    Far from every limit a message is let through at once, and counted a moment later.
    """

    def __init__(self) -> None:
        super().__init__(self._count, MOST_AT_ONCE)
        self._leeway = SettledSoon(self.ask)

    async def refused(self, question: Question) -> Reached | None:
        """What refuses a message, if anything does."""
        if can_be_owed(question) and self._leeway.lets(question):
            return None
        self._leeway.settle_now()
        return await self.ask(question)

    async def _count(self, questions: Sequence[Question]) -> list[Reached | None]:
        # What has gone already is no question: it takes no more than was known.
        is_question = any(charge.enforced for question in questions for charge in question)
        with self._leeway.asking() if is_question else nullcontext():
            answers, rooms = await asyncio.get_running_loop().run_in_executor(threads, count, questions)
        self._leeway.heard(rooms)
        return answers


def count(questions: Sequence[Question]) -> tuple[list[Reached | None], Rooms]:
    """For each message what refused it, and how much room there is now.

    Nothing refuses one while Redis or the database can't be asked: mail goes on.
    """
    try:
        return _count(questions)
    except RedisError as error:
        log.warning("Redis is away, nothing is throttled: %s", error)
        windows.mistrust()
    except DatabaseError as error:
        connection.close()
        log.warning("nothing is throttled: %s", what_failed(error), extra={"seldom": True})
    except Exception:  # the edge of counting: it must not keep mail out
        log.exception("throttling failed")
    return [None] * len(questions), {}


def _count(questions: Sequence[Question]) -> tuple[list[Reached | None], Rooms]:
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
    return answers, found.rooms
