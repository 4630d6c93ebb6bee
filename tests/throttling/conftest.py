"""A spool in this process whose mail counts for users with limits, and the counters' hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from accounts import actions as accounts_actions
from accounts.models import Domain, User
from spool.flow import intake
from spool.models import Entry
from tests.interop.world import parsed
from tests.spool.passing import ANN, FAR, HERE, START, Spool, close_connections, spool
from tests.support.messages import a_submission
from tests.support.redis import RedisServer
from throttling import bounces, events, notices, stages
from throttling.counting import windows
from throttling.models import ThrottleSettings

__all__ = ["ANN", "FAR", "HERE", "START", "spool"]


@pytest.fixture(autouse=True)
def _forget_what_was_remembered() -> None:
    for module in (ThrottleSettings, bounces, events, notices):
        module.forget()
    windows._mistrusted.clear()


class Throttled:
    """The spool, with short ways to set limits, to send as somebody, and to let time go by for Redis as well."""

    def __init__(self, spool: Spool, redis: RedisServer) -> None:
        self.spool = spool
        self.redis = redis

    def limit(self, name: str = ANN, **fields: object) -> None:
        row: User | Domain = accounts_actions.get_user(name) if "@" in name else accounts_actions.get_domain(name)
        accounts_actions.change(row, **fields)

    def send(self, count: int = 1, user: str = ANN, to: str | list[str] = f"bob@{FAR}", size: int = 0) -> list[str]:
        """Messages of a user who has logged in; returns their file names in the order in which they came."""
        submissions = []
        for number in range(count):
            submission = a_submission(user, to, subject=f"Number {number}", size=size)
            submission.envelope.auth_user = user
            submissions.append(submission)
        return intake.accept(submissions)

    def later(self, **delta: float) -> None:
        """Let time go by, here and in Redis, whose clock nobody can move: its keys get older instead."""
        self.spool.later(**delta)
        milliseconds = int(timedelta(**delta).total_seconds() * 1000)
        with self.redis.client() as client:
            for key in client.keys("mailspool:throttle:*"):
                left = client.pttl(key) - milliseconds
                client.pexpire(key, left) if left > 0 else client.delete(key)
        self.forget()

    def forget(self) -> None:
        """What processes remember for seconds."""
        for module in (ThrottleSettings, bounces, events):
            module.forget()

    @property
    def delivered(self) -> list[str]:
        """The subjects of what has arrived elsewhere, in order."""
        return [str(parsed(taken.content)["Subject"]) for taken in self.spool.peer.taken]

    def held(self) -> list[Entry]:
        return list(Entry.objects.filter(status="throttled").order_by("id"))


@pytest.fixture
def throttled(spool: Spool, redis: RedisServer) -> Iterator[Throttled]:
    yield Throttled(spool, redis)
    close_connections(stages.threads)
