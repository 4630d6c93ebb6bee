"""Domains, users and what is theirs, and the lists of who is kept out: some ten thousand of each.

The domains are half of those that `bench.spool_of` has senders in, and its `bulk.test`, which has a third of all users.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from accounts.models import (
    AccountEvent,
    Alias,
    AliasTarget,
    AppPassword,
    Domain,
    DomainUserDefaults,
    ListMember,
    Login,
    MailingList,
    SecondFactor,
    User,
    WebSession,
)
from bench.rows import write
from bench.spool_of import BULK_DOMAIN
from quarantine.models import ListedSender, TrustedSender, listed
from security.models import (
    BlacklistEntry,
    FailedLogin,
    KnownLogin,
    LoginBlock,
    SMTPBlock,
    WhitelistEntry,
)

DOMAINS, USERS, OF_THE_LARGEST = 1_000, 10_000, 5_000
# Of one user, and of one mailing list.
MOST_LISTED, MOST_MEMBERS = listed.MOST, 100_000
LOGINS = 200_000
SOURCES = 100_000
Rows = Iterator[dict[str, Any]]


def domain_of(number: int) -> str:
    """The domain of user `number`; of `bulk.test`, behind the others."""
    return f"sender{number % 2_000}.test" if number < USERS * 2 else BULK_DOMAIN


def users() -> Iterator[tuple[int, str, int]]:
    """(key, address, key of the domain) of each: ten in every domain, and those of the largest."""
    key = 1_000
    for number in range(USERS * 2):
        if number % 2_000 < DOMAINS:
            key += 1
            yield key, f"user{number}@{domain_of(number)}", number % 2_000 + 1
    for number in range(OF_THE_LARGEST):
        key += 1
        yield key, f"user{number}@{BULK_DOMAIN}", DOMAINS + 1


def fill(now: datetime) -> None:
    """All of it, in an installation that has none."""
    names = [*(f"sender{number}.test" for number in range(DOMAINS)), BULK_DOMAIN]
    write(Domain, ({"id": n + 1, "name": name, "description": f"Customer {n}"} for n, name in enumerate(names)))
    write(DomainUserDefaults, ({"domain_id": n + 1, "mailbox_mb": 500} for n in range(0, len(names), 2)))
    people = list(users())
    write(User, ({"id": key, "email": email, "domain_id": domain, "password": "!"} for key, email, domain in people))
    write(SecondFactor, _factors(people, now))
    write(AppPassword, _app_passwords(people, now))
    write(WebSession, _sessions(people, now))
    write(Login, _logins(people, now))
    write(AccountEvent, _events(people, now))
    write(Alias, _aliases(names))
    write(AliasTarget, ({"alias_id": n + 1, "address": f"person{n}@far{t}.test"} for n in range(20_000) for t in "ab"))
    write(MailingList, _lists(names, people))
    write(ListMember, _members(now))
    write(ListedSender, _listed(people, now))
    write(TrustedSender, ({"pattern": f"shop{n}.test"} for n in range(2_000)))
    _fill_security(people, now)


def _factors(people: list[tuple[int, str, int]], now: datetime) -> Rows:
    for key, _, _ in people[::2]:
        yield {"user_id": key, "kind": "totp", "name": "Phone", "material": "x", "created": now}


def _app_passwords(people: list[tuple[int, str, int]], now: datetime) -> Rows:
    for key, _, _ in people:
        yield {"user_id": key, "name": "Phone", "selector": "abcd", "digest": "x" * 64, "created": now}


def _sessions(people: list[tuple[int, str, int]], now: datetime) -> Rows:
    for number, (key, _, _) in enumerate(people * 2):
        yield {
            "session_key": f"{number:040}",
            "session_data": "x",
            "expire_date": now + timedelta(days=1, seconds=number),
            "public_id": uuid.UUID(int=number),
            "user_id": key,
            "ip": f"10.1.{number >> 8 & 255}.{number & 255}",
            "agent": "Mozilla/5.0",
            "since": now - timedelta(seconds=number),
            "seen": now - timedelta(seconds=number % 900),
        }


def _logins(people: list[tuple[int, str, int]], now: datetime) -> Rows:
    for number in range(LOGINS):
        at = now - timedelta(days=number // len(people))
        yield {
            "user_id": people[number % len(people)][0],
            "protocol": ("smtp", "web", "imap")[number % 3],
            "ip": f"10.2.{number >> 8 & 255}.{number & 255}",
            "day": at.date(),
            "first": at,
            "last": at,
        }


def _events(people: list[tuple[int, str, int]], now: datetime) -> Rows:
    for number in range(100_000):
        key, email, _ = people[number % len(people)]
        at = now - timedelta(minutes=100_000 - number)
        yield {"at": at, "actor": "root@localhost", "action": "limit", "user_id": key, "on": email}


def _aliases(names: list[str]) -> Rows:
    for number in range(20_000):
        place = number % len(names)
        yield {"id": number + 1, "address": f"alias{number}@{names[place]}", "domain_id": place + 1}


def _lists(names: list[str], people: list[tuple[int, str, int]]) -> Rows:
    for number in range(2_000):
        place = number % len(names)
        owner = people[number][0]
        yield {"id": number + 1, "address": f"list{number}@{names[place]}", "domain_id": place + 1, "owner_id": owner}


def _members(now: datetime) -> Rows:
    for number in range(MOST_MEMBERS):
        yield {"mailing_list_id": 1, "address": f"member{number}@far{number % 500}.test", "added": now}
    for number in range(50 * 1_999):
        yield {"mailing_list_id": number % 1_999 + 2, "address": f"member{number}@far.test", "added": now}


def _listed(people: list[tuple[int, str, int]], now: datetime) -> Rows:
    largest = people[-1][0]
    for number in range(MOST_LISTED):
        yield {"user_id": largest, "pattern": f"person{number}@shop.test", "listing": "block", "created": now}
    for key, _, _ in people[:-1]:
        for pattern in ("shop.test", "friend@far.test", "news.test"):
            yield {"user_id": key, "pattern": pattern, "listing": "allow", "created": now}


def _fill_security(people: list[tuple[int, str, int]], now: datetime) -> None:
    def network(first: int, number: int) -> str:
        return f"{first}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32"

    write(
        BlacklistEntry,
        (
            {"network": network(100, n), "description": "guesses passwords", "created": now, "created_by": "guard"}
            for n in range(SOURCES)
        ),
    )
    write(WhitelistEntry, ({"network": network(101, n), "created": now} for n in range(5_000)))
    write(SMTPBlock, ({"kind": "address", "pattern": f"bad{n}@bad.test", "created": now} for n in range(50_000)))
    write(
        LoginBlock,
        (
            {
                "reason": "pair",
                "ip": f"100.64.{n >> 8 & 255}.{n & 255}",
                "account": people[n % len(people)][1],
                "protocol": "smtp",
                "failures": 12,
                "since": now,
                "until": now + timedelta(hours=1 + n % 48),
            }
            for n in range(10_000)
        ),
    )
    write(
        FailedLogin,
        (
            {
                "at": now - timedelta(seconds=n * 4),
                "protocol": "smtp",
                "ip": f"100.64.{n % 5000 >> 8}.{n & 255}",
                "account": people[n % len(people)][1],
                "mark": n % 65_536,
            }
            for n in range(SOURCES * 2)
        ),
    )
    write(
        KnownLogin,
        (
            {"account": people[n % len(people)][1], "ip": f"10.3.{n >> 8 & 255}.{n & 255}", "last": now}
            for n in range(SOURCES)
        ),
    )
