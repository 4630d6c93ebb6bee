"""A day of mail for the Overview's pictures and tests: counted as completion counts it, and added up."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta

from spool.models.recipient import Kind, Outcome
from spool.models.traffic import TrafficSeries
from spool.rows import statements, traffic_batches
from spool.traffic import rollup

USERS = ("ann", "ben", "carla", "dmitri", "eve", "farid", "grace", "hiro", "ines", "jonas", "kim", "lars")
OUTSIDE = (
    "news@shop.example",
    "orders@parts.example",
    "alerts@bank.example",
    "tom@partner.example",
    "lists@club.example",
    "noreply@social.example",
    "billing@hosting.example",
    "info@museum.example",
    "crew@airline.example",
    "support@tool.example",
    "mail@school.example",
)
# The account that was taken over an hour ago, and the address that it is used from.
FLOODER, FLOODING_IP = "dmitri@example.org", "203.0.113.66"


def count_a_day(now: datetime) -> None:
    """25 hours of deliveries that rise and fall with the day, and a flood in the last half hour."""
    chance = random.Random(11)
    for minutes in range(25 * 60, -1, -5):
        moment = now - timedelta(minutes=minutes)
        busy = 1.15 + math.sin((moment.hour + moment.minute / 60 - 7) / 24 * 2 * math.pi)
        ended = [_out(chance, moment) for _ in range(int(busy * 9 * chance.random()))]
        ended += [_in(chance, moment) for _ in range(int(busy * 12 * chance.random()))]
        if minutes <= 30:
            ended += [_flood(number, moment) for number in range(60)]
        received: list[traffic_batches.Receipt] = [(one[2], one[3], one[1] == Kind.REMOTE) for one in ended]
        if ended:
            with statements.write_transaction():
                # Our own users log in; what they send elsewhere now and then waits for a second attempt.
                logins = [sender if outbound else "" for sender, _, outbound in received]
                deferred: list[traffic_batches.Deferral] = [
                    (sender, sender, ip, ["elsewhere.example"])
                    for sender, ip, outbound in received
                    if outbound and sender == FLOODER and minutes <= 30 and chance.random() < 0.5
                ]
                traffic_batches.receipts(received, moment, logins)
                traffic_batches.endings(ended, moment, logins, deferred)
    rollup.roll_up()
    _depths(chance, now)


def _out(chance: random.Random, moment: datetime) -> traffic_batches.Ending:
    user = chance.choices(USERS, weights=[1 / (place + 1) for place in range(len(USERS))])[0]
    outcome = Outcome.BOUNCED if chance.random() < 0.03 else Outcome.DELIVERED
    return (
        outcome.value,
        Kind.REMOTE.value,
        f"{user}@example.org",
        f"192.0.2.{1 + USERS.index(user)}",
        f"friend{chance.randrange(50)}@partner.example",
        (moment - timedelta(seconds=chance.paretovariate(1.4))).isoformat(),
    )


def _in(chance: random.Random, moment: datetime) -> traffic_batches.Ending:
    sender = chance.choices(OUTSIDE, weights=[1 / (place + 1) for place in range(len(OUTSIDE))])[0]
    return (
        Outcome.DELIVERED.value,
        Kind.LOCAL.value,
        sender,
        f"198.51.100.{10 + OUTSIDE.index(sender)}",
        f"{chance.choice(USERS)}@example.org",
        (moment - timedelta(seconds=chance.random())).isoformat(),
    )


def _flood(number: int, moment: datetime) -> traffic_batches.Ending:
    return (
        Outcome.BOUNCED.value if number % 4 == 0 else Outcome.DELIVERED.value,
        Kind.REMOTE.value,
        FLOODER,
        FLOODING_IP,
        f"victim{number}@elsewhere.example",
        (moment - timedelta(seconds=3)).isoformat(),
    )


def _depths(chance: random.Random, now: datetime) -> None:
    """What the looks at the spool would have found."""
    last = rollup.minute_of(now)
    waiting = 40.0
    for minute in range(last - 25 * 60, last, 5):
        waiting = max(5.0, waiting + chance.uniform(-6, 6) + (30 if minute > last - 30 else 0))
        TrafficSeries.objects.update_or_create(
            span=1,
            minute=minute,
            defaults={"depth": {"waiting": int(waiting), "remote": chance.randrange(12), "delay": chance.randrange(4)}},
        )
