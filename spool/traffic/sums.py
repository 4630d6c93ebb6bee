"""From the rows that commits have left to the numbers by which buckets, totals and series grow. No queries here."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from accounts.addresses import key_of
from spool.models.recipient import Kind, Outcome
from spool.models.traffic import BOUNDS_SECONDS, LATENCY, WHOLE
from spool.models.traffic import TrafficKind as K
from spool.rows import statements
from spool.rows.traffic_batches import POST


@dataclass(slots=True)
class Sums:
    """Counts by (kind, key, minute), and by how much each minute's columns of the series grow."""

    counts: Counter[tuple[int, str, int]] = field(default_factory=Counter)
    series: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def add_up(payloads: Iterable[str]) -> Sums:
    """What some TrafficBatch rows amount to."""
    sums = Sums()
    for payload in payloads:
        batch = json.loads(payload)
        minute = int(batch["at"]) // 60
        if "r" in batch:
            _receipts(sums, minute, batch["r"])
            _handed_in(sums, minute, batch["r"], batch.get("rl", ()))
        if "e" in batch:
            _endings(sums, minute, batch["at"], batch["e"])
            _bounced_and_answered(sums, minute, batch["e"], batch.get("el", ()))
        if "d" in batch:
            _deferred(sums, minute, batch["d"])
    return sums


def _receipts(sums: Sums, minute: int, received: list[Any]) -> None:
    delta = sums.series[minute]
    for sender, _, outbound in received:
        delta["received_outbound" if outbound else "received_inbound"] += 1
        sums.counts[(K.RECEIVED_OUTBOUND if outbound else K.RECEIVED_INBOUND).value, WHOLE, minute] += 1
        sums.counts[K.RECEIVED_SENDER.value, _key(sender), minute] += 1


def _endings(sums: Sums, minute: int, at: float, ended: list[Any]) -> None:
    delta, counts = sums.series[minute], sums.counts
    for outcome, kind, sender, ip, recipient, created in ended:
        if outcome in _LOST:
            delta["bounced"] += 1
            counts[K.BOUNCED.value, WHOLE, minute] += 1
            continue
        if outcome != Outcome.DELIVERED.value:
            continue
        if kind == POST:
            by = _key(sender)
            counts[K.INBOUND_SENDER.value, by, minute] += 1
            if domain := by.rpartition("@")[2]:
                counts[K.INBOUND_DOMAIN.value, domain, minute] += 1
            continue
        seconds = at - statements.from_db_time(created).timestamp()
        delta[LATENCY[bisect_left(BOUNDS_SECONDS, seconds)]] += 1
        by = _key(sender)
        if kind == Kind.REMOTE.value:
            delta["delivered_remote"] += 1
            keys = [(K.REMOTE, WHOLE), (K.OUTBOUND_SENDER, by), (K.OUTBOUND_IP, ip)]
        else:
            delta["delivered_local"] += 1
            keys = [
                (K.LOCAL, WHOLE),
                (K.INBOUND_RECIPIENT, _key(recipient)),
                (K.INBOUND_SENDER, by),
                (K.INBOUND_IP, ip),
                (K.INBOUND_DOMAIN, by.rpartition("@")[2]),
            ]
        for counted, key in keys:
            # Mail that this server made itself came from no IP, and notifications have no sender.
            if key or counted in _MAY_BE_EMPTY:
                counts[counted.value, key, minute] += 1


def _handed_in(sums: Sums, minute: int, received: list[Any], logins: Iterable[str | None]) -> None:
    # Of a batch of the version before it is not known who logged in: then there are no logins.
    for (sender, ip, _), login in zip(received, logins, strict=False):
        if login is not None:
            _whose(sums, minute, _HANDED_IN, login, sender, ip)


def _bounced_and_answered(sums: Sums, minute: int, ended: list[Any], logins: Iterable[str]) -> None:
    for (outcome, kind, sender, ip, recipient, _), login in zip(ended, logins, strict=False):
        is_lost = outcome in _LOST
        if is_lost:
            _whose(sums, minute, _BOUNCED, login, sender, ip)
        if kind == Kind.REMOTE.value and (is_lost or outcome == Outcome.DELIVERED.value):
            _answered(sums, minute, recipient.rpartition("@")[2], is_refused=is_lost)


def _deferred(sums: Sums, minute: int, deferred: list[Any]) -> None:
    for login, sender, ip, domains in deferred:
        _whose(sums, minute, _DEFERRED, login, sender, ip)
        for domain in domains:
            _answered(sums, minute, domain, is_refused=True)


def _whose(sums: Sums, minute: int, kinds: tuple[int, int, int], login: str, sender: str, ip: str) -> None:
    """One more of the user who logged in, else of the sender; and of the client IP."""
    of_user, of_sender, of_ip = kinds
    sums.counts[of_user if login else of_sender, _key(login or sender), minute] += 1
    if ip:
        sums.counts[of_ip, ip, minute] += 1


def _answered(sums: Sums, minute: int, domain: str, *, is_refused: bool) -> None:
    domain = domain.lower()[:320]
    sums.counts[K.ANSWERED_DOMAIN.value, domain, minute] += 1
    if is_refused:
        sums.counts[K.REFUSED_DOMAIN.value, domain, minute] += 1


_HANDED_IN = (K.HANDED_IN_USER.value, K.HANDED_IN_SENDER.value, K.HANDED_IN_IP.value)
_DEFERRED = (K.DEFERRED_USER.value, K.DEFERRED_SENDER.value, K.DEFERRED_IP.value)
_BOUNCED = (K.BOUNCED_USER.value, K.BOUNCED_SENDER.value, K.BOUNCED_IP.value)
_LOST = {Outcome.BOUNCED.value, Outcome.EXPIRED.value}
_MAY_BE_EMPTY = {K.OUTBOUND_SENDER, K.INBOUND_SENDER}


def _key(address: str) -> str:
    """Whose the mail is, as any database takes it: however an address is written, it is counted as one."""
    key = key_of(address)
    if key.isascii() and "\x00" not in key:
        return key[:320]
    return key.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")[:320]
