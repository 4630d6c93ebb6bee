"""What this process has counted and not told yet: numbers in memory, that ride with its heartbeat.

Every label has few values, but for destinations: of those the most frequent are told by name. A field's name is the
counter's and its labels', with `|` between them.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Final

from spool.message.encryption import Proof, proof_of
from spool.message.envelope import Recorded
from spool.models.recipient import Kind, Outcome
from spool.models.traffic import BOUNDS_SECONDS

OTHER: Final = "other"
# Destinations that are told by name each time, and that are kept apart until then.
MOST_TOLD: Final = 20
_MOST_KEPT: Final = 2000
# RFC 3463's subjects: the second number of a status code.
_SUBJECTS: Final = ("other", "address", "mailbox", "system", "network", "protocol", "content", "policy")


class Histogram:
    """Upper bounds in seconds; what took longer than the last has a place of its own."""

    def __init__(self, name: str, bounds: tuple[float, ...]) -> None:
        self.name, self.bounds = name, bounds
        self.places = [f"{name}|{place}" for place in range(len(bounds) + 1)]
        self.sum = f"{name}|sum"

    def add(self, counts: Counter[str], seconds: float) -> None:
        """Count one value: at its place, and to the sum, in milliseconds."""
        counts[self.places[bisect_left(self.bounds, seconds)]] += 1
        counts[self.sum] += round(seconds * 1000)


LATENCY: Final = Histogram("delivery_latency", tuple(map(float, BOUNDS_SECONDS)))
DURATION: Final = Histogram("attempt_duration", (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0))
# Each with the names of its labels.
COUNTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "connections": (),
    "refusals": ("code", "reason"),
    "logins": ("door", "result"),
    "attempts": ("kind", "outcome"),
    "deferrals": ("reason",),
    "encryption": ("verified_by",),
    "destinations": ("outcome", "destination"),
}
_OUTCOMES: Final = {outcome: outcome.value for outcome in Outcome} | {Outcome.PENDING: "deferred"}
_ATTEMPTS: Final = {
    (kind, outcome): f"attempts|{kind.value}|{word}" for kind in Kind for outcome, word in _OUTCOMES.items()
}
# What Heart makes rates of: messages taken in, recipients delivered to.
TAKEN: Final = "taken"
DELIVERED: Final = tuple(_ATTEMPTS[kind, Outcome.DELIVERED] for kind in Kind)
_ENCRYPTION: Final = {proof: f"encryption|{proof.value}" for proof in Proof}

_lock = threading.Lock()
_counts: Counter[str] = Counter()


def add(name: str, *labels: str, number: int = 1) -> None:
    """Count. Safe in any thread; costs a microsecond."""
    field = "|".join((name, *labels))
    with _lock:
        _counts[field] += number


def refusal(reply: str) -> None:
    """A reply of ours that refused something."""
    code, _, rest = reply.partition(" ")
    add("refusals", code if code.isdigit() and len(code) == 3 else OTHER, reason(rest))


def login(door: str, result: str) -> None:
    """`result` is ok, failed (a wrong name or password) or closed (the password was not even looked at)."""
    add("logins", door, result)


def results(recorded: Iterable[Recorded], now: datetime) -> None:
    """What is committed of attempts."""
    found: Counter[str] = Counter()
    for one in recorded:
        elsewhere = set(_remote(one))
        for attempt in one.attempts:
            DURATION.add(found, attempt.connect_seconds + attempt.seconds)
            if attempt.connected and attempt.recipients[0] in elsewhere:
                found[_ENCRYPTION[proof_of(attempt.tls)]] += 1
        for result in [*one.final, *one.waiting]:
            if result.put_off is not None and result.outcome is Outcome.PENDING:
                # Its host rests: nobody was tried.
                continue
            kind = result.recipient.kind
            outcome = _OUTCOMES[result.outcome]
            found[_ATTEMPTS[kind, result.outcome]] += 1
            if kind is Kind.REMOTE:
                found[f"destinations|{outcome}|{result.recipient.domain.lower()}"] += 1
            if result.outcome is Outcome.PENDING:
                found[f"deferrals|{'dns' if result.dns else reason(result.status_code)}"] += 1
            elif result.outcome is Outcome.DELIVERED:
                LATENCY.add(found, max(0.0, (now - one.entry.counted_from).total_seconds()))
    with _lock:
        _counts.update(found)
        if len(_counts) > _MOST_KEPT:
            _fold()


def _remote(recorded: Recorded) -> Iterator[str]:
    """The addresses elsewhere that something became of."""
    for result in chain(recorded.final, recorded.waiting):
        if result.recipient.kind is Kind.REMOTE:
            yield result.recipient.address


def reason(status: str) -> str:
    """What an enhanced status code is about, in a word: RFC 3463's subject."""
    _, _, rest = status.partition(".")
    subject = rest[:1]
    return _SUBJECTS[int(subject)] if subject and subject in "01234567" else OTHER


def take() -> dict[str, int]:
    """What is not told yet, which is forgotten here: put it back if it can't be told."""
    with _lock:
        _fold()
        taken = dict(_counts)
        _counts.clear()
    return taken


def add_back(taken: Mapping[str, int]) -> None:
    with _lock:
        _counts.update(taken)


def _fold() -> None:
    """Let all but the most frequent destinations be `other`."""
    by_name: Counter[str] = Counter()
    fields = [field for field in _counts if field.startswith("destinations|")]
    for field in fields:
        by_name[field.split("|", 2)[2]] += _counts[field]
    kept = {name for name, _ in by_name.most_common(MOST_TOLD)} | {OTHER}
    for field in fields:
        name, outcome, destination = field.split("|", 2)
        if destination not in kept:
            _counts[f"{name}|{outcome}|{OTHER}"] += _counts.pop(field)
