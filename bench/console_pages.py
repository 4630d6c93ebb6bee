"""Times the console's whole pages: `python -m bench.console_pages [overview|quarantines]`.

It runs in the environment of a Mailspool; without a word it is about the pages of the spool.

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
from quarantine.filters import SORTS as ITEM_SORTS  # noqa: E402
from quarantine.models import Item  # noqa: E402
from spool.filters import SORTS  # noqa: E402
from spool.filters.groups import KEYS as GROUPED  # noqa: E402
from spool.filters.orders import ONLY_WAITING  # noqa: E402
from spool.models import Entry, Recipient  # noqa: E402
from spool.traffic.series import RANGES  # noqa: E402

ROUNDS = 20
SPAM, VIRUS = "/admin/quarantine/item/spam/", "/admin/quarantine/item/virus/"
SPOOL, WAITING = "/admin/spool/entry/", "/admin/spool/entry/waiting/"


def pages() -> dict[str, str]:
    """The addresses, by what they are."""
    middle = Entry.objects.order_by("id")[Entry.objects.filter(hold=True).count() * 200]
    recipient = Recipient.objects.filter(entry=middle).first()
    assert recipient is not None
    found = {
        "spool": SPOOL,
        "spool, oldest first": f"{SPOOL}?sort=id",
        "spool, in the middle": f"{SPOOL}?after={middle.pk}",
        "spool, back from the middle": f"{SPOOL}?before={middle.pk}",
        "waiting": WAITING,
        "popup": f"{SPOOL}message/{middle.file_name}/",
        "backlog map": f"{SPOOL}backlog/",
        "trace": "/admin/spool/trace/",
        "trace of an address": f"/admin/spool/trace/?q={middle.sender}",
        "trace of an IP": f"/admin/spool/trace/?q={middle.client_ip}",
        "trace of a user": f"/admin/spool/trace/?auth-user={middle.auth_user or middle.sender}",
        "incident of an address": f"/admin/incident/sender/{middle.sender}/",
        "incident of an IP": f"/admin/incident/ip/{middle.client_ip}/",
        "incident of a domain": f"/admin/incident/domain/{recipient.address.rpartition('@')[2]}/",
        "audit": "/admin/audit/auditevent/",
        **{f"spool, grouped by {by}": f"{SPOOL}?group={by}" for by in GROUPED},
        **{f"waiting, grouped by {by}": f"{WAITING}?group={by}" for by in GROUPED},
    }
    for sort in SORTS:
        found[f"waiting by {sort}"] = f"{WAITING}?sort={sort}"
        if sort.lstrip("-") not in ONLY_WAITING:
            found[f"spool by {sort}"] = f"{SPOOL}?sort={sort}"
    filters = {
        "sender": middle.sender,
        "recipient": recipient.address,
        "domain": "dest0.test",
        "ip": middle.client_ip,
        "subject": "invoice lunch",
        "error": "quota",
        "older": "3d",
        "younger": "1h",
        "larger": "10MB",
        "smaller": "5KB",
        "min-attempts": "29",
        "priority": "high",
        "hold": "yes",
        "direction": "inbound",
        "status": "delay",
        "id": middle.file_name,
        "message-id": middle.message_id,
    }
    return found | {f"spool, {name}": f"{SPOOL}?{name}={value}" for name, value in filters.items()}


def quarantine_pages() -> dict[str, str]:
    """Both quarantines: first page, every order, every condition, and some of them together."""
    held = Item.objects.filter(kind="spam").order_by("id")[1000]
    caught = Item.objects.filter(kind="virus").order_by("id")[1000]
    recipient, domain = held.addresses.partition("\n")[0], held.addresses.partition("\n")[0].rpartition("@")[2]
    middle = held.pk + 60_000
    found = {
        "spam": SPAM,
        "spam, in the middle": f"{SPAM}?after={middle}",
        "spam, back from the middle": f"{SPAM}?before={middle}",
        "virus": VIRUS,
        "virus, recipient": f"{VIRUS}?recipient={caught.addresses.partition(chr(10))[0]}",
        "virus, why": f"{VIRUS}?why=Win.Test",
    }
    for sort in ITEM_SORTS:
        found[f"spam by {sort}"] = f"{SPAM}?sort={sort}"
        found[f"virus by {sort}"] = f"{VIRUS}?sort={sort}"
    asked = {
        "sender": held.sender,
        "no such sender": "sender=nobody@nowhere.test",
        "sender's domain": "sender=*@sender7.test",
        "sender with *": "sender=user77*",
        "recipient": recipient,
        "no such recipient": "recipient=nobody@nowhere.test",
        "recipient's domain": f"recipient=*@{domain}",
        "large domain": "recipient=*@dest0.test",
        "recipient with *": "recipient=person77*",
        "ip": held.client_ip,
        "auth-user": held.auth_user,
        "id": held.file_name,
        "subject": "invoice lunch",
        "rare subject": f"subject={held.subject}",
        "no such subject": "subject=unheard of",
        "why": "DMARC",
        "why that many have": "why=SPF",
        "min-score": "60",
        "direction": "outbound",
        "older": "28d",
        "younger": "1h",
        "larger": "1MB",
        "smaller": "5KB",
        "recipient and subject": f"recipient={recipient}&subject={held.subject}",
        "large domain by size": "recipient=*@dest0.test&sort=-size_bytes",
        "subject by size": "subject=lunch&sort=-size_bytes",
    }
    return found | {
        f"spam, {name}": f"{SPAM}?{value if '=' in value else f'{name}={value}'}" for name, value in asked.items()
    }


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
            "median_ms": round(times[ROUNDS // 2], 2),
            "p95_ms": round(times[int(ROUNDS * 0.95) - 1], 2),
            "longest_ms": round(times[-1], 2),
            "queries": len(captured),
        }
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main({"overview": overview_pages, "quarantines": quarantine_pages}.get(" ".join(sys.argv[1:]), pages)())
