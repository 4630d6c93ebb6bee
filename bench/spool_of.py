"""Fills an empty spool with entries that wait: `python -m bench.spool_of ENTRIES`, in the environment of a Mailspool.

Three recipients each, 20,000 senders in 2,000 domains, 5,000 destination domains of which a few have most of the mail,
as in life. The 100,000 from `bulk.test` have message files; of the others only the rows are there. Fewer entries
than those are all from there.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from spool.files import store
from spool.rows import entries as entries_of
from spool.rows import recipients as recipients_of
from spool.rows import statements
from spool.rows.columns import EntryRow, inserted

BULK_DOMAIN = "bulk.test"
BULK = 100_000
RECIPIENTS = 3
BATCH = 20_000
WORDS = (
    "invoice",
    "order",
    "lunch",
    "friday",
    "report",
    "meeting",
    "offer",
    "news",
    "update",
    "password",
    "delivery",
    "winter",
    "holiday",
    "draft",
)
ERRORS = [
    ("450 4.2.0 Greylisted, please try again in 300 seconds", "450 4.2.0 Greylisted, please try again in 300 seconds"),
    ("no host of example.net answers: connection refused", "no host of … answers: connection refused"),
    ("421 4.7.0 [192.0.2.7] Our system has detected an unusual rate", "421 4.7.0 … Our system has detected"),
    ("452 4.2.2 The mailbox is over quota", "452 4.2.2 The mailbox is over quota"),
]
CONTENT = b"From: <ann@bulk.test>\r\nTo: <bob@example.net>\r\nSubject: Bulk\r\n\r\n" + b"A line of text.\r\n" * 60


def main(entries: int) -> None:
    chance = random.Random(1)
    now = timezone.now()
    columns = inserted(EntryRow)
    for start in range(0, entries, BATCH):
        numbers = range(start, min(start + BATCH, entries))
        names = store.new_file_names(len(numbers))
        with statements.write_transaction():
            ids = list(entries_of.next_ids(len(numbers))[0])
            rows, recipients = [], []
            for number, name, entry_id in zip(numbers, names, ids, strict=True):
                bulk = number % max(1, entries // BULK) == 0
                row = _entry(number, name, entry_id, bulk, entries, now, chance)
                rows.append(tuple(row[column] for column in columns))
                recipients += _recipients(entry_id, chance)
            entries_of.insert(rows)
            recipients_of.insert(recipients)
        print(f"\r{numbers[-1] + 1:,} entries", end="", file=sys.stderr, flush=True)
    _write_files()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    print(file=sys.stderr)


def _entry(number, name, entry_id, bulk, entries, now, chance):  # type: ignore[no-untyped-def]
    sender_number = chance.randrange(20_000)
    domain = BULK_DOMAIN if bulk else f"sender{sender_number % 2_000}.test"
    created = now - timedelta(seconds=(entries - number) * 345_600 / entries)
    waiting = number % 1000 != 0
    error, group = chance.choice(ERRORS)
    due = now + timedelta(hours=2 + chance.random() * 48)
    values = {
        "id": entry_id,
        "file_name": name,
        "subspool": f"subspool{(number // 100_000) + 1:04}",
        "sender": f"user{sender_number}@{domain}",
        "sender_domain": domain,
        "sender_key": None,
        "auth_user": f"user{sender_number}@{domain}" if number % 3 == 0 else "",
        "client_ip": f"192.0.{chance.randrange(40)}.{chance.randrange(250)}",
        "ehlo_name": "client.test",
        "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
        "port": 2525,
        "direction": 1 if number % 50 == 0 else 2,
        "origin": "smtp",
        "subject": " ".join(chance.choices(WORDS, k=5)) + f" {number}",
        "message_id": f"<{number}.{sender_number}@{domain}>",
        "size_bytes": int(chance.paretovariate(1.2) * 4_000),
        "priority": 2 if number % 100 else chance.choice((1, 3)),
        "status": "waiting" if waiting else "delay",
        "attempts": chance.randrange(1, 30) if waiting else 0,
        "dns_failures": 0,
        "recipients_total": RECIPIENTS,
        "recipients_done": 0,
        "created": statements.db_time(created),
        "next_attempt": statements.db_time(due),
        "due_at": statements.db_time(due),
        "turn_at": None,
        "release_at": None,
        "leased_by": "",
        "hold": False,
        "hold_reason": "",
        "last_error": error if waiting else "",
        "error_group": group if waiting else "",
        "next_hop": "",
        "failures": 0,
        "traceback": "",
        "envid": "",
        "ret": "",
        "smtputf8": False,
        "eight_bit": False,
        "delay_notified": False,
        "tls_wish": "",
        "machine": "",
        "ours": number % 3 == 0,
    }
    if number % 500 == 0:
        values |= {"hold": True, "hold_reason": "To be looked at", "due_at": None}
    return values


def _recipients(entry_id: int, chance: random.Random) -> Iterator[tuple[object, ...]]:
    for _ in range(RECIPIENTS):
        domain = f"dest{min(4_999, int(chance.paretovariate(0.5)) - 1)}.test"
        address = f"person{chance.randrange(200_000)}@{domain}"
        yield recipients_of.recipient_values(
            entry_id=entry_id,
            address=address,
            domain=domain,
            kind="remote",
            status="pending",
            original="",
            notify="",
            orcpt="",
            address_key=None,
            original_key=None,
        )


def _write_files() -> None:
    """Message files of the entries that the bulk actions are for."""
    from spool.models import Entry

    root = django_settings.HOME.spool
    bulk = Entry.objects.filter(sender_domain=BULK_DOMAIN)
    for folder in bulk.values_list("subspool", flat=True).distinct():
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder, name in bulk.values_list("subspool", "file_name").iterator(chunk_size=10_000):
        (root / folder / name).write_bytes(CONTENT)
    bulk.update(size_bytes=len(CONTENT))


if __name__ == "__main__":
    main(int(sys.argv[1]))
