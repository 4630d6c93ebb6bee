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
        if "e" in batch:
            _endings(sums, minute, batch["at"], batch["e"])
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


_LOST = {Outcome.BOUNCED.value, Outcome.EXPIRED.value}
_MAY_BE_EMPTY = {K.OUTBOUND_SENDER, K.INBOUND_SENDER}


def _key(address: str) -> str:
    """Whose the mail is, as any database takes it: however an address is written, it is counted as one."""
    key = key_of(address)
    if key.isascii() and "\x00" not in key:
        return key[:320]
    return key.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")[:320]
