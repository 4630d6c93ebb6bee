"""One message for its recipients at one destination, and what the replies mean for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from spool.delivery.answers import AnswerFile
from spool.delivery.remote.client import Peer
from spool.delivery.replies import Reply
from spool.delivery.shaping.classes import ReplyClass, classify, wait_asked_for
from spool.message.envelope import AttemptRecord, LeasedEntry, LeasedRecipient, RecipientResult
from spool.models.recipient import Outcome

LONGEST_REPLY = 500
# RFC 5321 4.5.3.1.8: what every host must take.
RECIPIENTS_PER_TRANSACTION = 100
# When greylisting ends that does not say so, and what is believed of what it says.
GREYLISTED_SECONDS, SHORTEST_GREY, LONGEST_GREY = 300, 30, 3600

Done = Callable[["Transaction"], None]


@dataclass(slots=True)
class Transaction:
    """One entry for `recipients`, those without an answer yet.

    `done` is called once, when `results` has one for each, or when those that are left are left to another worker.
    `tried_again` says that a kept connection has failed it; `most` is how many recipients at once its host bears.
    """

    entry: LeasedEntry
    recipients: list[LeasedRecipient]
    done: Done
    tried_again: bool = False
    most: int = RECIPIENTS_PER_TRANSACTION
    results: list[RecipientResult] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    # Where it is noted at once who was delivered.
    answers: AnswerFile | None = None
    # Where it goes to, once that is known.
    site: str = ""

    @property
    def next_recipients(self) -> list[LeasedRecipient]:
        """Those who are to be sent to next."""
        return self.recipients[: self.most]

    def narrow(self, taken: int) -> bool:
        """Have fewer recipients at once, as a host hung up after it took so many; whether that may help.

        Never more than half of those before: a host that hangs up each time is asked some times at most.
        """
        if not 0 < taken < len(self.next_recipients):
            return False
        self.most = min(taken, len(self.next_recipients) // 2)
        return True

    def answer(self, replies: Sequence[Reply], peer: str, *, relayed: bool) -> bool:
        """Take one reply for each of `next_recipients`; whether all recipients have one now.

        Those whom the host found too many for one message stay for the next, as long as others were taken.
        """
        left: list[LeasedRecipient] = []
        asked, others = self.next_recipients, self.recipients[self.most :]
        before = len(self.results)
        some_taken = len(replies) > 1 and any(reply.code // 100 == 2 for reply in replies)
        for recipient, reply in zip(asked, replies, strict=True):
            if some_taken and reply.too_many:
                left.append(recipient)
                continue
            self.results.append(
                RecipientResult(
                    recipient,
                    _outcome(reply),
                    reply.text[:LONGEST_REPLY],
                    reply.enhanced,
                    peer,
                    relayed=relayed and reply.code // 100 == 2,
                    answered=not reply.ours,
                    again=_greylisted_until(reply),
                    site=self.site,
                )
            )
        if self.answers is not None and self.attempts:
            self.answers.note(self.entry, self.results[before:], self.attempts[-1])
        self.recipients = left + others
        if self.recipients:
            return False
        self.done(self)
        return True

    def leave(self) -> None:
        """Let go of those that are left, without a result."""
        self.done(self)

    def put_off(self, until: datetime, reason: str, status_code: str = "4.4.1") -> None:
        """Its host rests, or takes no more just now: those that are left are not tried."""
        reason = reason[:LONGEST_REPLY]
        self.results += [
            RecipientResult(recipient, Outcome.PENDING, reason, status_code, put_off=until, site=self.site)
            for recipient in self.recipients
        ]
        self.recipients = []
        self.done(self)

    def fail(
        self,
        text: str,
        status_code: str,
        outcome: Outcome = Outcome.PENDING,
        *,
        peer: Peer | None = None,
        code: int = 0,
        tls: str = "",
        dns: bool = False,
        started: float | None = None,
        connect_seconds: float = 0.0,
        connected: bool = False,
    ) -> None:
        """The same for every recipient that is left, and an attempt that says so."""
        name, site = (peer.name, peer.site) if peer else ("", self.site)
        self.note(text, code, peer, tls, started, connect_seconds, connected=connected)
        self.results += [
            RecipientResult(recipient, outcome, text[:LONGEST_REPLY], status_code, name, dns, site=site)
            for recipient in self.recipients
        ]
        self.recipients = []
        self.done(self)

    def note(
        self,
        text: str,
        code: int,
        peer: Peer | None,
        tls: str,
        started: float | None,
        connect_seconds: float = 0.0,
        *,
        connected: bool = True,
    ) -> None:
        """Add to the attempts; `started` is of the monotonic clock."""
        addresses = tuple([recipient.address for recipient in self.recipients])
        seconds = time.monotonic() - started if started is not None else 0.0
        self.attempts.append(
            AttemptRecord(
                datetime.now(UTC) - timedelta(seconds=seconds),
                addresses,
                peer.name if peer else "",
                peer.ip if peer else "",
                tls,
                code,
                text[:LONGEST_REPLY],
                seconds,
                peer.port if peer else 0,
                connect_seconds,
                connected,
            )
        )


def _greylisted_until(reply: Reply) -> datetime | None:
    """When a host that greylists takes the message, by its own words or by what is usual."""
    if reply.code // 100 != 4 or classify(reply.code, reply.enhanced, reply.text) is not ReplyClass.GREYLISTING:
        return None
    seconds = wait_asked_for(reply.text) or GREYLISTED_SECONDS
    # A little later than it says: its clock is not ours.
    return datetime.now(UTC) + timedelta(seconds=min(max(seconds, SHORTEST_GREY), LONGEST_GREY) + 5)


def _outcome(reply: Reply) -> Outcome:
    if reply.code // 100 == 2:
        return Outcome.DELIVERED
    # 503 is about the order of commands, not about the message or its recipient.
    return Outcome.BOUNCED if reply.permanent and reply.code != 503 else Outcome.PENDING
