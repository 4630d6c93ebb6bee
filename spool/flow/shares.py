"""Fair shares: nobody's burst delays the mail of others.

A sender is the user who logged in; for other mail of ours the domain of the reverse-path; for the rest the client's
address (IPv6 by /64), for the domain is then whatever a stranger writes. What a sender hands in within its share has
its turn at once, in the order of age. What is beyond the share is *early*: its turn (`turn_at`) is when the sender
would have handed it in at the rate of the share, and it goes before that only while nothing else is due, those first
whose turn is first. So what one sender has too much of takes what the others leave, several such senders get alike, and
each gets its share however much comes in. It is the virtual clock of Zhang (SIGCOMM 1990, "VirtualClock") with a bucket
as in ATM's GCRA.

High priority has a clock of its own, which is WEIGHT_OF_HIGH times as slow: it goes before the rest of the same sender,
and has more of what several have too much of. Low priority has its own room (spool.flow.lanes) and no share.

What is scheduled has its turn from the moment on that its sender chose: each such minute has a clock of its own. That,
and what a delivery delay keeps back, is early only once its time has come (spool.flow.leases.let_go_early).

Kept in memory by each process that takes mail in, for as long as anything is early; one that was started anew learns
from the rows. Listeners side by side count apart: a sender that uses all of them has as many shares.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from spool.message.envelope import Envelope
from spool.models.entry import Priority
from spool.sockets.addresses import counted_as

# A share: so many recipients a second, and so many at once.
SHARE_PER_SECOND: Final = 10
SHARE_AT_ONCE: Final = 50
# High priority counts as so much less.
WEIGHT_OF_HIGH: Final = 4
# Nobody's turn is later than this.
LONGEST_SECONDS: Final = 24 * 3600.0
# How often it is looked whether anything is early still.
LOOK_SECONDS: Final = 1.0
# So many senders are remembered; then those go that are within their shares.
MOST_SENDERS: Final = 10_000

_IN_TURN_SECONDS: Final = SHARE_AT_ONCE / SHARE_PER_SECOND
_SECONDS: Final = {
    Priority.NORMAL.value: 1 / SHARE_PER_SECOND,
    Priority.HIGH.value: 1 / SHARE_PER_SECOND / WEIGHT_OF_HIGH,
}

# Whose share, and of which priority.
Clock = tuple[str, int]


def sender_of(auth_user: str, ours: bool | None, sender_domain: str, client_ip: str) -> str:
    """Whose share a message is counted to; empty for what this server made by itself, as a notice."""
    if auth_user:
        return auth_user
    if sender_domain and (ours or not client_ip):
        return f"@{sender_domain}"
    return counted_as(client_ip) if client_ip else ""


class Shares:
    """The clocks of one process. `early` looks up how far they are at the start, `is_any_early` whether
    anything is early. Both ask the database, in the transaction that the messages come in by.
    """

    def __init__(
        self,
        early: Callable[[], Mapping[Clock, float]],
        is_any_early: Callable[[], bool],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._early = early
        self._is_any_early = is_any_early
        self._steady = steady
        self._turns: dict[Clock, float] = {}
        self._knows = False
        self._is_early = False
        self._looked = float("-inf")
        self._now = datetime.min.replace(tzinfo=UTC)

    def forget(self) -> None:
        """All begin anew, and what is early is looked up when it is needed."""
        self._turns.clear()
        self._knows = self._is_early = False
        self._looked = float("-inf")

    def look(self, soonest: datetime) -> None:
        """To be called before a batch, which is due at `soonest`: once nothing is early any more, all begin anew."""
        self._now = soonest
        if self._is_early and self._steady() - self._looked >= LOOK_SECONDS:
            self._looked = self._steady()
            if not self._is_any_early():
                self._turns.clear()
                self._is_early = False

    def wait(self, envelope: Envelope, sender_domain: str, due: datetime) -> float:
        """How many seconds after it is `due` the turn of a new message is: 0 within the share."""
        priority = int(envelope.priority)
        seconds = _SECONDS.get(priority)
        if seconds is None:
            return 0.0
        sender = sender_of(envelope.auth_user, envelope.ours, sender_domain, envelope.client_ip)
        if not sender:
            return 0.0
        if due > self._now:
            sender = f"{sender} {due:%Y%m%d%H%M}"
        clock, turns, now = (sender, priority), self._turns, due.timestamp()
        turn = turns.get(clock, now)
        if not now <= turn <= now + 2 * LONGEST_SECONDS:
            # Its share has room; or the machine's clock was set back since it was reckoned.
            turn = now
        if turn - now > _IN_TURN_SECONDS:
            if not self._knows:
                self._learn()
                turn = max(turn, turns.get(clock, now))
            self._is_early = True
        elif len(turns) >= MOST_SENDERS:
            self._forget(self._now.timestamp())
            turns = self._turns
        turns[clock] = min(turn + len(envelope.recipients) * seconds, now + LONGEST_SECONDS)
        return turn - now if turn - now > _IN_TURN_SECONDS else 0.0

    def _learn(self) -> None:
        self._knows = True
        for clock, turn in self._early().items():
            self._turns[clock] = max(turn, self._turns.get(clock, turn))

    def _forget(self, now: float) -> None:
        self._turns = {clock: turn for clock, turn in self._turns.items() if turn > now}
        if len(self._turns) >= MOST_SENDERS:
            self._turns.clear()
