"""Fills both quarantines: `python -m bench.quarantine_of ITEMS`, in the environment of a Mailspool. Rows, no files."""

from __future__ import annotations

import random
import sys
from datetime import timedelta

import django

django.setup()

from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench.spool_of import WORDS  # noqa: E402
from quarantine.models import Item, ItemAddress, ItemKind  # noqa: E402

BATCH = 5_000
FINDINGS = [
    {"check": name, "kind": "spf", "points": 8.0, "text": "fail for example.org", "failed": False, "seconds": 0.1}
    for name in ("SPF", "DKIM", "DMARC", "SpamAssassin", "Rspamd", "Spamhaus")
]


def main(items: int) -> None:
    chance = random.Random(2)
    now = timezone.now()
    for start in range(0, items, BATCH):
        some = Item.objects.bulk_create(_item(n, items, now, chance) for n in range(start, min(start + BATCH, items)))
        ItemAddress.objects.bulk_create(
            ItemAddress(item_id=item.pk, address=address, domain=address.rpartition("@")[2])
            for item in some
            for address in item.addresses.splitlines()
        )
    with connection.cursor() as cursor:
        # As PostgreSQL's autovacuum does after so many new rows.
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")


def _item(number, items, now, chance):  # type: ignore[no-untyped-def]
    at = now - timedelta(seconds=(items - number) * 29 * 86_400 / items)
    domain = f"sender{chance.randrange(2_000)}.test"
    # A tenth of all is for one domain.
    hosts = [0 if chance.random() < 0.1 else chance.randrange(5_000) for _ in range(3)]
    addresses = [f"person{chance.randrange(200_000)}@dest{host}.test" for host in hosts]
    virus = number % 10 == 0
    score = None if virus else round(30 + chance.expovariate(0.1), 2)
    row = {"id": 0, "status": "pending", "last_reply": "", "original": ""}
    return Item(
        entry_id=10_000_000 + number,
        kind=ItemKind.VIRUS if virus else ItemKind.SPAM,
        file_name=f"q{number:024}.eml",
        subspool="subspool0001",
        sender=f"user{chance.randrange(20_000)}@{domain}",
        sender_domain=domain,
        addresses="\n".join(addresses),
        subject=" ".join(chance.choices(WORDS, k=5)),
        direction=2,
        client_ip=f"192.0.{chance.randrange(40)}.{chance.randrange(250)}",
        auth_user=f"user{chance.randrange(20_000)}@{domain}",
        attempts=chance.choice((0, 0, 0, 1, 5)),
        size_bytes=int(chance.paretovariate(1.2) * 4_000),
        recipients_total=3,
        created=at,
        at=at,
        removal=at + timedelta(days=30),
        why="Win.Test (clamd)" if virus else f"{score} points: SPF 8, DKIM 8",
        score=score,
        findings=FINDINGS,
        entry={"id": number, "subject": "x" * 600},
        recipients=[{**row, "address": address} for address in addresses],
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
