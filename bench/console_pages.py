"""Times the console's whole pages: `python -m bench.console_pages [overview]`, in the environment of a Mailspool.

Each is asked for as a logged-in browser does, through every middleware and template: the server's part is timed.
Prints JSON: for each page its milliseconds (median, 95th percentile, longest) and its queries.
"""

from __future__ import annotations

import json
import logging
import sys
import time

import django

django.setup()

from django.core.cache import cache  # noqa: E402
from django.db import connection, reset_queries  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from accounts.models import Role, User  # noqa: E402
from quarantine.models import Item  # noqa: E402
from spool.filters import SORTS  # noqa: E402
from spool.filters.orders import ONLY_WAITING  # noqa: E402
from spool.models import Entry, Recipient  # noqa: E402
from spool.traffic.series import RANGES  # noqa: E402

ROUNDS = 20
SPAM = "/admin/quarantine/item/spam/"
SPOOL, WAITING = "/admin/spool/entry/", "/admin/spool/entry/waiting/"


def pages() -> dict[str, str]:
    """The addresses, by what they are."""
    middle = Entry.objects.order_by("id")[Entry.objects.filter(hold=True).count() * 200]
    recipient = Recipient.objects.filter(entry=middle).first()
    assert recipient is not None
    found = {
        "spool": SPOOL, "spool, oldest first": f"{SPOOL}?sort=id", "spool, in the middle": f"{SPOOL}?after={middle.pk}",
        "spool, back from the middle": f"{SPOOL}?before={middle.pk}", "waiting": WAITING,
        "popup": f"{SPOOL}message/{middle.file_name}/", "backlog map": f"{SPOOL}backlog/",
        "trace": "/admin/spool/trace/", "trace of an address": f"/admin/spool/trace/?q={middle.sender}",
        "trace of an IP": f"/admin/spool/trace/?q={middle.client_ip}", "audit": "/admin/spool/auditevent/",
    }  # fmt: skip
    held = Item.objects.filter(kind="spam").order_by("id")[1000]
    found |= {
        "spam quarantine": SPAM, "spam quarantine by size": f"{SPAM}?sort=-size_bytes",
        "spam quarantine, in the middle": f"{SPAM}?after={held.pk + 60_000}.{held.pk + 60_000}",
        "virus quarantine": "/admin/quarantine/item/virus/",
        **{f"spam quarantine, {name}": f"{SPAM}?{name}={value}" for name, value in (
            ("sender", held.sender), ("recipient", held.addresses.partition("\n")[0]), ("subject", "invoice lunch"),
            ("why", "DMARC"), ("older", "28d"), ("larger", "1MB"),
        )},
    }  # fmt: skip
    for sort in SORTS:
        found[f"waiting by {sort}"] = f"{WAITING}?sort={sort}"
        if sort.lstrip("-") not in ONLY_WAITING:
            found[f"spool by {sort}"] = f"{SPOOL}?sort={sort}"
    filters = {
        "sender": middle.sender, "recipient": recipient.address, "domain": "dest0.test", "ip": middle.client_ip,
        "subject": "invoice lunch", "error": "quota", "older": "3d", "younger": "1h", "larger": "10MB",
        "smaller": "5KB",
        "min-attempts": "29", "priority": "high", "hold": "yes", "direction": "inbound", "status": "delay",
        "id": middle.file_name, "message-id": middle.message_id,
    }  # fmt: skip
    return found | {f"spool, {name}": f"{SPOOL}?{name}={value}" for name, value in filters.items()}


def overview_pages() -> dict[str, str]:
    """The Overview, with charts of each range; and the menu of its first row."""
    key = "user0@ours0.test"
    return {f"overview, {name}": f"/admin/?range={name}" for name in RANGES} | {
        "menu of a row": f"/admin/overview/outbound-senders/menu/?key={key}",
    }


def main(asked: dict[str, str]) -> None:
    logging.disable(logging.WARNING)
    user, _ = User.objects.get_or_create(email="bench@localhost", defaults={"role": Role.SYSTEM_ADMINISTRATOR})
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    results = {}
    for name, address in asked.items():
        times = []
        for number in range(ROUNDS + 1):
            # The map is kept for some seconds: what is timed is making it.
            cache.clear()
            reset_queries()
            with CaptureQueriesContext(connection) as captured:
                started = time.perf_counter()
                answer = client.get(address)
                seconds = time.perf_counter() - started
            assert answer.status_code == 200, (name, answer.status_code)
            if number:
                times.append(seconds * 1000)
        times.sort()
        results[name] = {
            "median_ms": round(times[ROUNDS // 2], 2), "p95_ms": round(times[int(ROUNDS * 0.95) - 1], 2),
            "longest_ms": round(times[-1], 2), "queries": len(captured),
        }  # fmt: skip
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main(overview_pages() if sys.argv[1:] == ["overview"] else pages())
