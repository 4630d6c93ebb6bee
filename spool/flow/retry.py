"""When a message is tried again, and when it has been tried long enough. Values in, values out.

`created` is since when it could have been delivered: when it came in, or the time for which its sender scheduled it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from spool.delivery.shaping.classes import ReplyClass
from spool.delivery.shaping.rules import Chosen


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """`intervals` between attempts, of which the last repeats, until `lifetime` after the message came in.

    `is_for_error`: it was chosen for just what the last reply was about, and nothing that the reply says goes before.
    """

    intervals: tuple[timedelta, ...]
    lifetime: timedelta
    is_for_error: bool = False

    def under(self, chosen: Chosen, error: ReplyClass) -> RetrySchedule:
        """With what rules say of such an error in its place."""
        said, is_for_error = chosen.schedule(error)
        if not said.says_something:
            return self
        return RetrySchedule(said.intervals or self.intervals, said.lifetime or self.lifetime, is_for_error)

    def expires(self, created: datetime) -> datetime:
        """The moment after which the message is returned."""
        return created + self.lifetime


def due_after(attempts: int, schedule: RetrySchedule, created: datetime, now: datetime) -> datetime | None:
    """When the next attempt is due, or None when the message has expired (RFC 5321 4.5.4.1).

    `attempts` counts finished ones, at least 1; "Reset Retries" starts it again and keeps `created`. An interval that
    would pass the end of the lifetime is cut, so that the last attempt is made at the end itself.
    """
    expires = schedule.expires(created)
    if now >= expires:
        return None
    interval = schedule.intervals[min(attempts, len(schedule.intervals)) - 1]
    return min(now + interval, expires)


def put_off_until(rests_until: datetime, schedule: RetrySchedule, created: datetime, now: datetime) -> datetime | None:
    """When what was not tried is due, whose host rests until then; None when the message has expired.

    It is no attempt: none is counted, and the interval to the next one stays as it was.
    """
    expires = schedule.expires(created)
    return min(max(rests_until, now), expires) if now < expires else None


def notice_is_due(created: datetime, now: datetime, hours: int, already_sent: bool) -> bool:
    """Whether the sender is to be told that the message is late; `hours` 0 means never."""
    return hours > 0 and not already_sent and now >= created + timedelta(hours=hours)
