"""What follows from refusals and from their absence: the limits of one site, by additive increase and multiplicative
decrease. Values in, values out.

The first refusal for the rate halves it, and so do some that follow one another. Others tell how much the receiver
takes: it goes back to a little less than what was taken in the last minute, after a pause. It is raised a tenth a
cohort as long as mail waits for it and nothing is refused: up to what has worked at once, beyond that after a pause,
and then faster, for a receiver may have been given much more room.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

SLOWEST: Final = 1.0
# A limit that is higher than this is none.
FASTEST: Final = 60_000.0
# After so many refusals that followed one another the rate is too high, and not only its last rise.
MOST_PAUSES: Final = 4


@dataclass(frozen=True, slots=True)
class Timing:
    """How long, in seconds: a cohort, the first pause after a refusal and the longest, how long a rate is held before
    more is tried, how long a number of connections is, and the first suspension and the longest.
    """

    cohort: float = 10.0
    pause: float = 1.0
    longest_pause: float = 60.0
    hold: float = 60.0
    connections: float = 300.0
    suspension: float = 3600.0
    longest_suspension: float = 4 * 3600.0
    # Without a refusal for so long, what was learned is forgotten.
    lapse: float = 24 * 3600.0


TIMING: Final = Timing()


@dataclass(frozen=True, slots=True)
class Pace:
    """What was learned of one site from one source address; None is no limit.

    `rate` is in messages a minute, and `ceiling` the highest that is known to work. `streak` counts raises beyond it,
    `failed` those in a row that were refused, `pauses` refusals without a success between.
    """

    rate: float | None = None
    connections: int | None = None
    suspended_until: datetime | None = None
    ceiling: float = 0.0
    streak: int = 0
    failed: int = 0
    pauses: int = 0
    suspensions: int = 0
    paused_until: datetime | None = None
    hold_until: datetime | None = None
    rate_changed: datetime | None = None
    connections_changed: datetime | None = None
    refused: datetime | None = None
    # Over one connection.
    messages: int | None = None

    @property
    def limits_something(self) -> bool:
        """Whether mail may have to wait for it."""
        return self.rate is not None or self.connections is not None or self.suspended_until is not None


NOTHING: Final = Pace()


def slowed(pace: Pace, took: float, now: datetime, timing: Timing = TIMING, *, again: bool = False) -> Pace:
    """After a refusal for the rate. `took` is what was taken in the last minute; `again`: nothing was taken since the
    refusal before, so that this one says nothing new of the rate.
    """
    if pace.paused_until is not None and now < pace.paused_until:
        # What was on its way when the first was refused.
        return pace
    follows = again or _just_refused(pace, now, timing)
    pauses = pace.pauses + 1 if follows and pace.rate is not None else 0
    seconds = min(timing.pause * 2.0**pauses, timing.longest_pause)
    pace = replace(pace, pauses=pauses, paused_until=now + timedelta(seconds=seconds), refused=now)
    if again and pauses:
        return pace
    if pace.rate is None:
        ceiling, rate, hold, failed = 0.95 * took, took / 2, timing.hold, 0
    elif took < pace.rate / 2 or pauses >= MOST_PAUSES:
        ceiling, rate, hold, failed = 0.9 * pace.rate, pace.rate / 2, timing.hold, 0
    else:
        # What it took in the last minute is what it takes, at most what was let through.
        failed = pace.failed + (not follows)
        ceiling = 0.95 * min(took, pace.rate)
        rate, hold = ceiling, timing.hold * (min(failed, 2) if pace.streak < 3 else 0.25)
    return replace(
        pace,
        rate=max(SLOWEST, rate),
        ceiling=max(SLOWEST, ceiling),
        streak=0,
        failed=failed,
        hold_until=now + timedelta(seconds=hold),
        rate_changed=now,
    )


def _just_refused(pace: Pace, now: datetime, timing: Timing) -> bool:
    """Whether something else was refused a moment ago: a window of a minute, say, has not run out yet."""
    return pace.refused is not None and (now - pace.refused).total_seconds() < 2 * timing.cohort


def sped_up(pace: Pace, now: datetime, timing: Timing = TIMING) -> Pace:
    """After a cohort that mail waited in and that nothing was refused of; at most once a cohort, whoever says so."""
    if pace.rate is None or (pace.rate_changed and (now - pace.rate_changed).total_seconds() < 0.9 * timing.cohort):
        return pace
    if pace.pauses or pace.suspensions:
        pace = replace(pace, pauses=0, suspensions=0, suspended_until=None)
    rate = pace.rate
    assert rate is not None
    if rate < pace.ceiling:
        return replace(pace, rate=min(max(1.1 * rate, rate + 1), pace.ceiling), streak=0, rate_changed=now)
    if pace.hold_until is not None and now < pace.hold_until:
        return pace
    raised = max(rate * (1 + min(0.1 * (1 + pace.streak), 0.3)), rate + 1)
    if raised > FASTEST:
        return replace(pace, rate=None, ceiling=0.0, streak=0, failed=0, rate_changed=now)
    failed = pace.failed if pace.streak < 2 else 0
    return replace(pace, rate=raised, ceiling=rate, streak=pace.streak + 1, failed=failed, rate_changed=now)


def narrowed(pace: Pace, open_now: int, now: datetime, timing: Timing = TIMING) -> Pace:
    """After a refusal for the connections, of which `open_now` were open in all: one less."""
    recent = pace.connections_changed is not None and now - pace.connections_changed < timedelta(seconds=timing.pause)
    before = pace.connections if pace.connections is not None else open_now
    if recent and pace.connections is not None:
        return pace
    return replace(pace, connections=max(1, min(before, open_now) - 1), connections_changed=now, refused=now)


def widened(pace: Pace, now: datetime, timing: Timing = TIMING) -> Pace:
    """After a long time in which all connections were in use and none was refused: one more."""
    if pace.connections is None or pace.connections_changed is None:
        return pace
    if (now - pace.connections_changed).total_seconds() < timing.connections:
        return pace
    return replace(pace, connections=pace.connections + 1, connections_changed=now)


def shortened(pace: Pace, carried: int, now: datetime) -> Pace:
    """After a connection had carried so many messages, and no more were taken over it."""
    fewer = carried if pace.messages is None else min(carried, pace.messages)
    return replace(pace, messages=max(1, fewer), refused=now)


def suspended(pace: Pace, took: float, now: datetime, timing: Timing = TIMING) -> Pace:
    """After our address was refused. What comes then goes slowly at first: it is seen whether we are welcome again."""
    if pace.suspended_until is not None and now < pace.suspended_until:
        return pace
    seconds = min(timing.suspension * 2.0**pace.suspensions, timing.longest_suspension)
    before = pace.rate if pace.rate is not None else took
    return replace(
        pace,
        suspended_until=now + timedelta(seconds=seconds),
        suspensions=pace.suspensions + 1,
        rate=max(SLOWEST, before / 4),
        ceiling=max(pace.ceiling, SLOWEST, before),
        streak=0,
        rate_changed=now,
        refused=now,
    )


def without_rate(pace: Pace) -> Pace:
    """As if nothing had been learned of the rate."""
    return replace(pace, rate=None, ceiling=0.0, streak=0, failed=0, pauses=0, paused_until=None, hold_until=None)


def without_lapsed(pace: Pace, now: datetime, timing: Timing = TIMING) -> Pace:
    """What is left when nothing was refused for long."""
    running = pace.suspended_until is not None and now < pace.suspended_until
    if pace.refused is None and not running:
        # It was suspended by hand.
        return replace(pace, suspended_until=None)
    if running or pace.refused is None or (now - pace.refused).total_seconds() < timing.lapse:
        return pace
    return NOTHING
