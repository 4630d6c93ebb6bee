"""Fills every table that a page reads: `python -m bench.tables_of`, in the environment of a Mailspool.

`bench.spool_of`, `bench.quarantine_of` and `bench.traffic_of` have filled theirs before. A table that none of them
knows ends it with an error: a page that is slow once there is much in it would be found by an administrator.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import django

django.setup()

from django.apps import apps  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import Role, User  # noqa: E402
from bench import accounts_of, history_of  # noqa: E402
from bench.rows import write  # noqa: E402
from quarantine.models import Check, CheckCount, GreylistClient, Greylisted, Scanned  # noqa: E402
from spool.models import (  # noqa: E402
    AlertEvent,
    AlertRule,
    Destination,
    DestinationDomain,
    DestinationEncryption,
    DestinationRule,
    DkimKey,
    DMARCSource,
    DomainRecord,
    Entry,
    Machine,
    MailReport,
    MTASTSPolicy,
    Program,
    ReportedTLSFailure,
    RestingHost,
    Route,
    SourceAddress,
    SourceDay,
    Subspool,
    TLSReport,
    TLSSessions,
    UpdateServer,
)
from throttling.models import GuardEvent, GuardPeak, GuardPolicy, HeldEntry, ThrottleEvent  # noqa: E402

OURS = ("accounts", "audit", "spool", "quarantine", "security", "throttling")
# Why nothing is written into these.
LEFT = {
    "accounts.Containment": "a handful of users at a time",
    "accounts.DirectoryStamp": "one row",
    "accounts.DomainDefaults": "one row",
    "accounts.ExternalIdentity": "one for each user who signs in elsewhere, shown to that user",
    "accounts.RecoveryCode": "ten for each user, shown to that user",
    "accounts.SignInSettings": "one row",
    "accounts.UserDefaults": "one row",
    "quarantine.AntispamSettings": "one row",
    "quarantine.AntivirusSettings": "one row",
    "quarantine.DigestMark": "one row",
    "quarantine.Pardon": "rows of messages that are on their way, read by workers",
    "quarantine.QuarantineSize": "a row for each quarantine",
    "quarantine.ReleaseNotice": "a row for each domain, read by a task",
    "security.ListsStamp": "one row",
    "security.LoginRules": "one row",
    "spool.AlertNotice": "what is still to be sent, read by a task",
    "spool.Content": "of small messages that are on their way, read by key",
    "spool.ContentPart": "of large messages that are on their way, read by key",
    "spool.Duty": "a row for each duty",
    "spool.IncomingReport": "until it is read, by a task",
    "spool.Installation": "one row",
    "spool.ListLayout": "a row for each person and list, read by key",
    "spool.SavedView": "as many as a person has made",
    "spool.Settings": "one row",
    "spool.TrafficBatch": "until it is counted, by a task",
    "spool.TrafficState": "one row",
    "throttling.ThrottleNotice": "read by key",
    "throttling.ThrottleSettings": "one row",
}
SITES, DOMAINS = 10_000, accounts_of.DOMAINS
Rows = Iterator[dict[str, Any]]


def main() -> None:
    started = time.monotonic()
    now = timezone.now()
    accounts_of.fill(now)
    history_of.fill(now)
    _fill_destinations(now)
    _fill_reports(now)
    _fill_domains(now)
    _fill_checks(now)
    _fill_limits(now)
    _fill_machines(now)
    _fill_alerts(now)
    _make_people()
    _complain_of_empty_tables()
    with connection.cursor() as cursor:
        # As PostgreSQL's autovacuum does after so many new rows.
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")
    print(f"all other tables in {time.monotonic() - started:.0f} s", file=sys.stderr)


def _fill_destinations(now: datetime) -> None:
    refused = {
        "at": now.isoformat(),
        "code": 421,
        "text": "421 4.7.0 too many messages",
        "about": "rate",
        "domain": "dest1.test",
        "host": "mx.dest1.test",
    }
    write(
        Destination,
        (
            {
                "site": f"mx.dest{n}.test",
                "rate": 30.0 if n % 3 == 0 else None,
                "connections": 2 if n % 3 == 1 else None,
                "suspended_until": now + timedelta(hours=3) if n % 3 == 2 else None,
                "reason": "rate",
                "evidence": [refused] * 5,
                "since": now - timedelta(hours=n % 99),
                "changed": now,
            }
            for n in range(SITES)
        ),
    )
    write(
        DestinationDomain,
        (
            {"domain": f"dest{n}.test", "site": f"mx.dest{n if n < SITES else 0}.test", "seen": now}
            for n in range(SITES * 2)
        ),
    )
    write(
        DestinationEncryption,
        (
            {
                "site": f"mx.dest{n}.test",
                "proof": proof,
                "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
                "host": f"mx.dest{n}.test",
                "domain": f"dest{n}.test",
                "at": now,
            }
            for n in range(SITES)
            for proof in ("unverified", "none")
        ),
    )
    write(
        DestinationRule,
        ({"scope": "domain", "name": f"dest{n}.test", "connections": 3, "changed": now} for n in range(2_000)),
    )
    write(
        RestingHost,
        (
            {
                "name": f"198.18.{n >> 8}.{n & 255}:25 opportunistic  ",
                "until": now + timedelta(minutes=n % 60),
                "seconds": 60.0,
                "reason": "connection refused",
                "domains": [f"dest{n}.test"],
                "error_groups": ["no host of … answers: connection refused"],
                "changed": now,
            }
            for n in range(5_000)
        ),
    )
    write(Route, ({"domain": f"routed{n}.test", "host": "10.0.0.1"} for n in range(2_000)))
    write(SourceAddress, ({"address": f"127.0.9.{n}", "senders": f"sender{n}.test"} for n in range(20)))
    write(
        SourceDay,
        (
            {"source": f"127.0.9.{n}", "site": f"mx.dest{site}.test", "day": now.date(), "sent": 9}
            for n in range(20)
            for site in range(5_000)
        ),
    )
    write(
        MTASTSPolicy,
        (
            {"domain": f"dest{n}.test", "record_id": "1", "mode": "enforce", "mx": ["mx.test"], "expires": now}
            for n in range(SITES)
        ),
    )


def _fill_reports(now: datetime) -> None:
    """A hundred and more days of them, most about one domain."""
    names = [*(f"sender{n}.test" for n in range(DOMAINS)), *["bulk.test"] * DOMAINS]
    write(
        MailReport,
        (
            {
                "kind": ("dmarc", "tls")[n % 2],
                "domain": names[n // 2 % len(names)],
                "reporter": f"Provider {n % 30}",
                "report_id": str(n),
                "begins": now - timedelta(days=n % 90 + 1),
                "ends": now - timedelta(days=n % 90),
                "received": now - timedelta(days=n % 90),
                "good": 1_000,
                "bad": n % 5,
            }
            for n in range(100_000)
        ),
    )
    write(
        ReportedTLSFailure,
        (
            {
                "domain": names[n % len(names)],
                "day": (now - timedelta(days=n % 90)).date(),
                "reporter": f"Provider {n % 30}",
                "policy_type": "sts",
                "result": "certificate-expired",
                "host": "mail.test",
                "count": 3,
            }
            for n in range(100_000)
        ),
    )
    write(
        DMARCSource,
        (
            {
                "domain": names[n % len(names)],
                "day": (now - timedelta(days=n // 4_000)).date(),
                "source_ip": f"100.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
                "dkim": n % 3 == 0,
                "spf": n % 5 == 0,
                "disposition": "none",
                "count": 7,
                "reporter": "Provider 1",
            }
            for n in range(300_000)
        ),
    )
    write(
        TLSSessions,
        (
            {
                "day": (now - timedelta(days=day)).date(),
                "domain": f"dest{n}.test",
                "policy_type": "no-policy-found",
                "policy_key": "0",
                "count": 3,
            }
            for day in range(5)
            for n in range(SITES)
        ),
    )
    write(
        TLSReport,
        (
            {"day": (now - timedelta(days=day)).date(), "domain": f"dest{n}.test", "state": "unwanted", "at": now}
            for day in range(10)
            for n in range(SITES)
        ),
    )


def _fill_domains(now: datetime) -> None:
    names = [*(f"sender{n}.test" for n in range(DOMAINS)), "bulk.test"]
    write(
        DkimKey,
        (
            {
                "domain": name,
                "selector": f"s{n}",
                "algorithm": "ed25519",
                "sealed_private_key": "x",
                "public_key": "x" * 44,
                "state": ("retiring", "active")[n],
                "created": now,
            }
            for name in names
            for n in range(2)
        ),
    )
    write(
        UpdateServer,
        (
            {"domain": name, "host": "127.0.0.1", "key_name": "key", "sealed_secret": "x", "enabled": False}
            for name in names
        ),
    )
    purposes = ("MX", "SPF", "DMARC", "DKIM", "MTA-STS", "TLS-RPT", "DANE", "Address")
    write(
        DomainRecord,
        (
            {
                "domain": name,
                "purpose": purpose,
                "name": f"{purpose.lower()}.{name}",
                "kind": "TXT",
                "place": place,
                "wanted": "v=spf1 mx -all",
                "state": ("right", "right", "wrong", "missing", "optional", "unknown")[(number + place) % 6],
                "sentence": "It is not there.",
                "checked": now,
            }
            for number, name in enumerate(names)
            for place, purpose in enumerate(purposes)
        ),
    )


def _fill_checks(now: datetime) -> None:
    write(
        Check,
        ({"name": f"Rule {n}", "kind": "body", "pattern": f"word{n}", "weight": 1.0} for n in range(200)),
    )
    write(
        CheckCount,
        (
            {"day": (now - timedelta(days=day)).date(), "name": f"Rule {n}", "runs": 9_000, "hits": 90, "seconds": 9.0}
            for day in range(365)
            for n in range(200)
        ),
    )
    write(
        Greylisted,
        (
            {
                "key": f"{n:032}",
                "network": f"100.{n >> 8 & 255}.{n & 255}.0/24",
                "sender": f"person{n}@dest{n % 5_000}.test",
                "recipient": f"user{n % 20_000}@sender{n % 2_000}.test",
                "first_seen": now,
                "last_seen": now,
                "passed": n % 2 == 0,
            }
            for n in range(200_000)
        ),
    )
    write(
        GreylistClient,
        ({"network": f"100.{n >> 8 & 255}.{n & 255}.0/24", "passes": 3, "last_seen": now} for n in range(50_000)),
    )
    findings = [
        {"check": f"Rule {n}", "kind": "body", "points": 1.0, "text": "word", "failed": False, "seconds": 0.1}
        for n in range(9)
    ]
    ids = Entry.objects.order_by("id").values_list("id", flat=True)[:100_000]
    write(Scanned, ({"entry_id": n, "kind": "spam", "at": now, "findings": findings} for n in ids))


def _fill_limits(now: datetime) -> None:
    people = list(accounts_of.users())

    def events() -> Rows:
        for number in range(200_000):
            # The first of each subject lasts.
            is_open = number < len(people) + DOMAINS
            kind = "user" if number < len(people) or number % 2 else "domain"
            email = people[number % len(people)][1]
            since = now - timedelta(seconds=(number if is_open else number * 10))
            yield {
                "kind": kind,
                "name": email if kind == "user" else f"sender{number % DOMAINS}.test",
                "domain": email.rpartition("@")[2] if kind == "user" else f"sender{number % DOMAINS}.test",
                "metric": "messages" if is_open and kind == "user" else ("bandwidth", "recipients")[number % 2],
                "action": "delay",
                "amount": 100,
                "used": 300,
                "since": since,
                "last": since,
                "until": now + timedelta(minutes=30) if is_open else since,
                "ended": None if number < len(people) else since + timedelta(hours=1),
            }

    write(ThrottleEvent, events())
    ids = Entry.objects.order_by("-id").values_list("id", flat=True)[:100_000]
    write(
        HeldEntry,
        (
            {
                "entry_id": entry,
                "kind": "user",
                "name": people[n % len(people)][1],
                "metric": "messages",
                "cost": 1,
                "since": now,
                "until": now + timedelta(hours=1),
            }
            for n, entry in enumerate(ids)
        ),
    )
    write(GuardPolicy, ({"domain_id": n + 1} for n in range(DOMAINS)))
    write(
        GuardEvent,
        (
            {
                "user": people[n % len(people)][1],
                "domain": people[n % len(people)][1].rpartition("@")[2],
                "at": now - timedelta(minutes=n),
                "action": "delay",
                "dry_run": n % 2 == 0,
                "evidence": ["300 messages in an hour; the busiest before had 20."],
            }
            for n in range(20_000)
        ),
    )
    write(
        GuardPeak,
        (
            {"user": people[n % len(people)][1], "day": (now - timedelta(days=n // len(people))).date(), "messages": 9}
            for n in range(150_000)
        ),
    )


def _fill_machines(now: datetime) -> None:
    kinds = ("smtpd", "mail", "maintenance", "scheduler", "web")
    write(Machine, ({"name": f"mail{n}.test", "since": now} for n in range(50)))
    write(
        Program,
        (
            {
                "key": f"mail{n}.test {kind} {pid}",
                "machine": f"mail{n}.test",
                "kind": kind,
                "host": f"mail{n}.test",
                "pid": pid,
                "version": "1",
                "born": now,
                "seen": now + timedelta(hours=1),
                "drains": False,
                "busy": 3,
            }
            for n in range(50)
            for kind in kinds
            for pid in range(4)
        ),
    )
    write(Subspool, ({"name": f"subspool{n:04}", "files": 100_000, "open": False} for n in range(1_000, 1_100)))


def _fill_alerts(now: datetime) -> None:
    chance = random.Random(8)
    write(
        AlertRule,
        ({"id": 1_000 + n, "name": f"Rule {n}", "kind": "sender", "threshold": 5 + n} for n in range(50)),
    )
    write(
        AlertEvent,
        (
            {
                "rule_id": 1_000 + n % 50,
                "rule_name": f"Rule {n % 50}",
                "kind": "sender",
                "key": f"user{n}@sender{n % 2_000}.test",
                "threshold": 100,
                "value": 120.0,
                "highest": float(chance.randrange(120, 900)),
                "began": now - timedelta(minutes=n),
                "ended": None if n < 500 else now - timedelta(minutes=n - 5),
            }
            for n in range(20_000)
        ),
    )


def _make_people() -> None:
    """Somebody in each role, by whom the pages are asked for."""
    for email, role in (
        ("bench@localhost", Role.SYSTEM_ADMINISTRATOR),
        ("helper@localhost", Role.HELP_DESK),
        ("reader@localhost", Role.READ_ONLY),
    ):
        User.objects.get_or_create(email=email, defaults={"role": role})
    for n in range(20):
        User.objects.get_or_create(email=f"admin{n}@localhost", defaults={"role": Role.SYSTEM_ADMINISTRATOR})
    User.objects.filter(email="user0@bulk.test").update(role=Role.DOMAIN_ADMINISTRATOR)


def _complain_of_empty_tables() -> None:
    empty = [
        model._meta.label
        for app in OURS
        for model in apps.get_app_config(app).get_models()
        if model._meta.label not in LEFT and not model._default_manager.exists()
    ]
    if empty:
        raise SystemExit(f"Nothing is in {', '.join(empty)}: fill them here, or say in LEFT why not.")


if __name__ == "__main__":
    main()
