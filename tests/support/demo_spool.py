"""A spool as an administrator meets it on a bad day: for the screenshots of the documentation."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from django.utils import timezone

from base.actions.perform import perform
from spool import actions
from spool.actions.destinations import SLOW, destination_named
from spool.delivery.shaping import domains, limits
from spool.delivery.shaping.classes import ReplyClass
from spool.delivery.shaping.limits import About, Key, Report
from spool.models import Entry, Outcome
from spool.rows import statements
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in

_PEOPLE = ("ann", "ben", "carla", "dmitri", "eve")
_SUBJECTS = (
    "Minutes of Tuesday's meeting",
    "Invoice 2026-1184",
    "Re: Your order",
    "Weekly report",
    "Photos from the summit",
    "Password reset",
    "Offer for 400 chairs",
    "Newsletter November",
)
# (destination, host, what it says, how many)
_TROUBLE = (
    ("down.example", "mx.down.example", "connecting to mx.down.example [203.0.113.9]: connection refused", 26),
    (
        "greylist.example",
        "mx1.greylist.example",
        "450 4.2.0 Recipient address rejected: Greylisted, try again later",
        9,
    ),
    ("full.example", "aspmx.full.example", "452 4.2.2 The email account that you tried to reach is over quota", 7),
    ("limits.example", "mx.limits.example", "421 4.7.28 Unusual rate of mail from your IP address", 17),
    ("mistyped.example", "", "the DNS gave no answer for mistyped.example: its servers failed", 4),
)
_FEAST = b"""From: Carla <carla@example.org>\r
To: members@list.example\r
Subject: =?utf-8?q?Fr=C3=BChlingsfest_am_Samstag?=\r
Message-ID: <feast@example.org>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/html; charset=utf-8\r
\r
<h2 style="color:#b45309">Spring feast on Saturday</h2><p>Dear all,</p>
<p>we meet at <b>three o'clock</b> behind
the old mill. <a href="https://example.org/feast">Sign up here</a>.</p><ul><li>Bring a chair</li>
<li>Bring a friend</li></ul>
<img src="https://tracker.example/pixel.gif"><p>Carla</p>\r
--b\r
Content-Type: application/pdf\r
Content-Disposition: attachment; filename=programme.pdf\r
Content-Transfer-Encoding: base64\r
\r
JVBERi0xLjQK\r
--b--\r
"""


def fill(actor: actions.Actor) -> Entry:
    """Fill the spool, its trace and its audit; returns the entry that is worth a look."""
    chance = random.Random(7)
    _past(chance, actor)
    for domain, host, reply, count in _TROUBLE:
        for number in range(count):
            made = take_in(
                a_submission(
                    f"{chance.choice(_PEOPLE)}@example.org",
                    [f"user{number}@{domain}", *([f"desk{number}@{domain}"] if number % 4 == 0 else [])],
                    subject=chance.choice(_SUBJECTS),
                    size=chance.choice([900, 4_000, 60_000, 2_500_000]),
                )
            )
            for _ in range(chance.randint(1, 3)):
                attempt(made, reply, host=host, ip="203.0.113.9")
            _age(made[0], minutes=chance.choice([4, 12, 35, 50, 130, 300, 700, 1500, 3000]))
    _limits()
    feast = take_in(a_submission("carla@example.org", [f"member{i}@list.example" for i in range(80)], content=_FEAST))
    attempt(
        feast,
        "451 4.7.1 Greylisting in effect, please come back later",
        host="mx2.list.example",
        ip="203.0.113.44",
        only=["member3@list.example", "member7@list.example"],
    )
    fresh = take_in(
        *[
            a_submission(
                f"{chance.choice(_PEOPLE)}@example.org",
                f"friend{i}@partner.example",
                subject=chance.choice(_SUBJECTS),
                size=chance.choice([900, 4_000, 60_000]),
            )
            for i in range(9)
        ]
    )
    actions.perform("hold", [fresh[1].pk], actor, reason="Asked by ann@example.org")
    actions.perform("priority", [fresh[2].pk, fresh[3].pk], actor, priority="high")
    actions.perform("priority", [fresh[5].pk], actor, priority="low")
    Entry.objects.filter(pk=fresh[4].pk).update(status="remote", leased_by="worker", due_at=_in_a_minute())
    return feast[0]


def _past(chance: random.Random, actor: actions.Actor) -> None:
    """Mail that has left, and an action that can be undone."""
    gone = take_in(
        *[
            a_submission(
                f"{chance.choice(_PEOPLE)}@example.org", f"friend{i}@partner.example", subject=chance.choice(_SUBJECTS)
            )
            for i in range(14)
        ]
    )
    attempt(gone[:11], "250 2.0.0 Ok: queued as 4RbX3k", host="mx.partner.example", outcome=Outcome.DELIVERED)
    attempt(gone[11:13], "550 5.1.1 No such user here", host="mx.partner.example", outcome=Outcome.BOUNCED)
    actions.perform("delete", [gone[13].pk], actor)
    # The bounces themselves are not what the pictures are about.
    Entry.objects.all().delete()


def _limits() -> None:
    """What receivers take from us, and what was learned of that."""
    now = timezone.now()
    names = ("down", "greylist", "full", "limits", "partner", "list")
    found = [(f"{name}.example", Key(f"mx.{name}.example")) for name in names]
    found += [(f"{name}.example", Key("Google")) for name in ("school", "museum", "club")]
    domains.remember(found, now)
    for host, about, code, reply, ago in (
        ("mx.limits.example", ReplyClass.RATE, 421, "421 4.7.28 Unusual rate of mail from your IP address", 22),
        ("mx.full.example", ReplyClass.REPUTATION, 554, "554 5.7.1 [192.0.2.1] is on our block list", 12),
        ("mx.full.example", ReplyClass.REPUTATION, 554, "554 5.7.1 [192.0.2.1] is on our block list", 11),
    ):
        at = now - timedelta(minutes=ago)
        refusal = Report(Key(host), About.REFUSED, at, about, took=240, code=code, text=reply)
        with statements.write_transaction():
            limits.apply([replace(refusal, domain=host.removeprefix("mx."), host=host)])
    by_hand = {"rate": "60", "note": "Asked for by their postmaster"}
    target = destination_named("mx.partner.example")
    assert target is not None
    perform(SLOW, actions.Actor.at_the_shell(), target, by_hand)


def _age(entry: Entry, minutes: int) -> None:
    Entry.objects.filter(pk=entry.pk).update(created=timezone.now() - timedelta(minutes=minutes))


def _in_a_minute() -> object:
    return timezone.now() + timedelta(minutes=1)
