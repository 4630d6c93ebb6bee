"""Fills the traffic counts with a day of mail: `python -m bench.traffic_of N`, in the environment of a Mailspool.

N deliveries in the last 24 hours, by 50,000 senders from 50,000 IP addresses to 50,000 users, of which a few have most.
The buckets and totals are those that adding up every one of them would have made.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from itertools import accumulate

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from spool.models import TrafficKind, TrafficSeries, TrafficState  # noqa: E402
from spool.models.traffic import LATENCY  # noqa: E402
from spool.rows import statements  # noqa: E402
from spool.traffic import rollup  # noqa: E402

KEYS = 50_000
DOMAINS = 5_000
_WEIGHTS = list(accumulate(1 / (number + 50) for number in range(KEYS)))
Counts = Counter[tuple[int, str]]


def main(deliveries: int) -> None:
    started = time.monotonic()
    chance = random.Random(3)
    now = rollup.minute_of(timezone.now())
    first_minute = rollup.window_start(now, rollup.HOUR)
    spans = [(minute, 1, deliveries / 1440) for minute in range(first_minute, now + 1)]
    # The hour in which the minutes begin has a bucket for what came before them.
    for hour in range((now - rollup.DAY) // 60 * 60, first_minute, 60):
        minutes = min(60, first_minute - hour)
        spans.append((hour, 60, deliveries * minutes / 1440))
    totals: Counts = Counter()
    for minute, span, number in spans:
        counts = _counts(chance, round(number))
        totals.update(counts)
        rows = [(kind, key, minute, span, count) for (kind, key), count in counts.items()]
        with transaction.atomic():
            statements.insert("spool_trafficcount", ("kind", "key", "minute", "span", "number"), rows)
        print(f"\r{minute - now:6} min", end="", file=sys.stderr, flush=True)
    with transaction.atomic():
        rows = [(kind, key, count, count * 30, now) for (kind, key), count in totals.items()]
        statements.insert("spool_traffictotal", ("kind", "key", "day", "total", "seen"), rows)
    _series(chance, now, deliveries)
    TrafficState.objects.update_or_create(
        pk=1, defaults={"since": timezone.now(), "rolled": timezone.now(), "tidied": now}
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    print(f"\n{len(totals):,} keys in {time.monotonic() - started:.0f} s", file=sys.stderr)


def _counts(chance: random.Random, number: int) -> Counts:
    """`number` deliveries, six of ten of them outbound."""
    out, here = number * 6 // 10, number - number * 6 // 10
    found: Counts = Counter({(TrafficKind.REMOTE.value, "-"): out, (TrafficKind.LOCAL.value, "-"): here})
    for kind, form, many in (
        (TrafficKind.OUTBOUND_SENDER, "user{}@ours{}.test", out),
        (TrafficKind.OUTBOUND_IP, "", out),
        (TrafficKind.INBOUND_RECIPIENT, "user{}@ours{}.test", here),
        (TrafficKind.INBOUND_SENDER, "person{}@sender{}.test", here),
        (TrafficKind.INBOUND_IP, "", here),
        (TrafficKind.RECEIVED_SENDER, "user{}@ours{}.test", number),
    ):
        drawn = Counter(chance.choices(range(KEYS), cum_weights=_WEIGHTS, k=many))
        for place, count in drawn.items():
            key = form.format(place, place % DOMAINS) if form else f"10.{place >> 16}.{place >> 8 & 255}.{place & 255}"
            found[kind.value, key] = count
            if kind is TrafficKind.INBOUND_SENDER:
                found[TrafficKind.INBOUND_DOMAIN.value, f"sender{place % DOMAINS}.test"] += count
    return found


def _series(chance: random.Random, now: int, deliveries: int) -> None:
    """Two days of minutes, and a year of hours before them."""
    rows = []
    for minute in [*range(now - 527_040, now - 2880, 60), *range(now - 2880, now + 1)]:
        span = 1 if minute >= now - 2880 else 60
        number = round(deliveries / 1440 * span * (0.5 + chance.random()))
        latency = {name: number // (2 + place) for place, name in enumerate(LATENCY)}
        rows.append(
            TrafficSeries(
                span=span,
                minute=minute if span == 1 else minute // 60 * 60,
                received_inbound=number // 3,
                received_outbound=number // 2,
                delivered_local=number * 4 // 10,
                delivered_remote=number * 6 // 10,
                bounced=number // 50,
                **latency,
                depth={"waiting": 900, "remote": chance.randrange(50)},
            )
        )
    TrafficSeries.objects.bulk_create(rows, batch_size=5_000, ignore_conflicts=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
