"""What became of a million messages, and who did what: traces, attempts, the audit, the trash."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from base.audit.models import AuditEvent
from bench.accounts_of import domain_of
from bench.rows import write
from bench.spool_of import WORDS
from spool.models import Attempt, BulkJob, ReceivedBounce, Suppression, Trace, Trashed, TrashedRecipient
from throttling.models import Passage

TRACES, AUDITED = 1_000_000, 1_000_000
TRASHED, SUPPRESSED, BOUNCES = 100_000, 100_000, 200_000
DAYS = 30
Rows = Iterator[dict[str, Any]]


def fill(now: datetime) -> None:
    """All of it, in an installation that has none. Traces, attempts and passages are of the same messages."""
    span = timedelta(days=DAYS)
    moments = [now - span + span * (number / TRACES) for number in range(TRACES)]
    write(Trace, _traces(moments))
    write(Attempt, _attempts(moments))
    write(Passage, _passages(moments))
    write(AuditEvent, _audited(now))
    write(BulkJob, _jobs(now))
    write(Trashed, _trashed(now))
    write(TrashedRecipient, _trashed_recipients())
    write(Suppression, _suppressed(now))
    write(ReceivedBounce, _bounces(now))


def _far(chance: random.Random) -> str:
    return f"dest{min(4_999, int(chance.paretovariate(0.5)) - 1)}.test"


def _traces(moments: list[datetime]) -> Rows:
    chance = random.Random(4)
    for number, at in enumerate(moments):
        user = chance.randrange(20_000)
        ours = f"user{user}@{domain_of(user) if number % 10 else 'bulk.test'}"
        far = f"person{chance.randrange(200_000)}@{_far(chance)}"
        outbound = number % 2 == 0
        bounced = number % 50 == 0
        yield {
            "file_name": f"t{number // 2:024}.eml",
            "sender": ours if outbound else far,
            "recipient": far if outbound else ours,
            "kind": "remote" if outbound else "local",
            "outcome": "bounced" if bounced else "delivered",
            "reply": "550 5.1.1 No such user here" if bounced else "250 2.0.0 Ok",
            "host": f"mx.{far.rpartition('@')[2]}" if outbound else "",
            "auth_user": ours if outbound else "",
            "client_ip": f"192.0.{chance.randrange(40)}.{chance.randrange(250)}",
            "ehlo_name": "client.test",
            "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
            "port": 587 if outbound else 25,
            "subject": " ".join(chance.choices(WORDS, k=5)) + f" {number}",
            "message_id": f"<t{number}@{ours.rpartition('@')[2]}>",
            "size_bytes": int(chance.paretovariate(1.2) * 4_000),
            "attempts": 1 + number % 3,
            "created": at - timedelta(seconds=5),
            "ended": at,
        }


def _attempts(moments: list[datetime]) -> Rows:
    chance = random.Random(5)
    for number, at in enumerate(moments):
        host = _far(chance)
        failed = number % 20 == 0
        yield {
            "file_name": f"t{number // 2:024}.eml",
            "at": at,
            "recipients": f"person{chance.randrange(200_000)}@{host}",
            "host": f"mx.{host}",
            "ip": f"198.18.{number >> 8 & 255}.{number & 255}",
            "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
            "code": 450 if failed else 250,
            "reply": "450 4.2.0 Greylisted" if failed else "250 2.0.0 Ok",
            "seconds": 0.3,
        }


def _passages(moments: list[datetime]) -> Rows:
    chance = random.Random(6)
    for number, at in enumerate(moments):
        user = chance.randrange(20_000)
        yield {
            "file_name": f"t{number:024}.eml",
            "at": int(at.timestamp()),
            "sender": f"user{user}@{domain_of(user)}",
            "domain": domain_of(user),
            "client_ip": f"192.0.{chance.randrange(40)}.{chance.randrange(250)}",
            "recipients": 1,
            "size_bytes": 4_000,
        }


def _audited(now: datetime) -> Rows:
    kinds = (
        ("hold", "message", "t{:024}.eml"),
        ("change user", "user", "user{}@sender0.test"),
        ("add to blacklist", "blacklist entry", "100.0.{}.1/32"),
        ("delete", "", ""),
        ("settings", "settings", "spool"),
    )
    for number in range(AUDITED):
        action, kind, key = kinds[number % len(kinds)]
        yield {
            "id": number + 1,
            "at": now - timedelta(seconds=(AUDITED - number) * 30),
            "actor": f"admin{number % 20}@localhost",
            "source": ("page", "shell", "system")[number % 3],
            "ip": f"192.0.2.{number % 250}",
            "via": "admin:spool_entry_perform",
            "action": action,
            "kind": kind,
            "key": key.format(number % 20_000),
            "on": "sender = ann@example.org" if not kind else "",
            "filter": {"sender": "ann@example.org"} if not kind else {},
            "parameters": {"reason": "asked for"} if action == "hold" else {},
            "matched": 1,
            "done": 1,
            "is_part": number % 7 == 0,
        }


def _jobs(now: datetime) -> Rows:
    for number in range(5_000):
        yield {
            "action": "delete",
            "filter": {"sender_domain": f"sender{number}.test"},
            "actor": "admin1@localhost",
            "state": "done",
            "total": 1_000,
            "done": 1_000,
            "created": now - timedelta(hours=number),
            "started": now - timedelta(hours=number),
            "ended": now - timedelta(hours=number) + timedelta(seconds=9),
            "event_id": number + 1,
        }


def _trashed(now: datetime) -> Rows:
    chance = random.Random(7)
    for number in range(TRASHED):
        user = chance.randrange(20_000)
        at = now - timedelta(seconds=number * 6)
        yield {
            "id": 20_000_000 + number,
            "file_name": f"d{number:024}.eml",
            "subspool": "subspool0001",
            "sender": f"user{user}@{domain_of(user)}",
            "sender_domain": domain_of(user),
            "direction": 2,
            "subject": " ".join(chance.choices(WORDS, k=5)),
            "client_ip": f"192.0.{chance.randrange(40)}.{chance.randrange(250)}",
            "message_id": f"<d{number}@{domain_of(user)}>",
            "size_bytes": 4_000,
            "recipients_total": 1,
            "created": at,
            "reply": "Deleted",
            "state": "trashed",
            "at": at,
            "event_id": number // 100 + 1,
        }


def _trashed_recipients() -> Rows:
    for number in range(TRASHED):
        domain = f"dest{number % 5_000}.test"
        yield {
            "id": 60_000_000 + number,
            "entry_id": 20_000_000 + number,
            "address": f"person{number}@{domain}",
            "domain": domain,
            "kind": "remote",
        }


def _suppressed(now: datetime) -> Rows:
    for number in range(SUPPRESSED):
        yield {
            "domain": "bulk.test" if number % 2 else domain_of(number % 1_000),
            "address": f"person{number}@dest{number % 5_000}.test",
            "reason": ("bounce", "complaint", "manual")[number % 3],
            "evidence": "550 5.1.1 No such user here",
            "since": now - timedelta(minutes=number),
            "expires": now + timedelta(minutes=number),
        }


def _bounces(now: datetime) -> Rows:
    for number in range(BOUNCES):
        user = number % 10_000
        yield {
            "user": f"user{user}@{domain_of(user)}",
            "domain": domain_of(user),
            "failed_recipient": f"person{number}@dest{number % 5_000}.test",
            "status": "5.1.1",
            "diagnostic": "550 5.1.1 No such user here",
            "received": now - timedelta(seconds=number * 12),
        }
