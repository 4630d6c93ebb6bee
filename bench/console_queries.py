"""Times what the console asks of the spool: `python -m bench.console_queries`, in the environment of a Mailspool.

Prints JSON: for each list, search and count its milliseconds (median, 95th percentile, longest) and its queries.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from django.db import connection, reset_queries
from django.test.utils import CaptureQueriesContext

from spool.actions import Selection, preview
from spool.actions.actor import Actor
from spool.filters import SORTS, SpoolFilter, count, from_text, page
from spool.filters.orders import ONLY_WAITING
from spool.models import Entry, Recipient, Trace

ROUNDS = 20


def questions() -> dict[str, Callable[[], Any]]:
    """Every list, sort, filter, kind of search, and count."""
    middle = Entry.objects.order_by("id")[Entry.objects.filter(hold=True).count() * 200].id
    entry = Entry.objects.get(id=middle)
    recipient = Recipient.objects.filter(entry=entry).first()
    assert recipient is not None
    waiting = SpoolFilter(status="waiting")
    found: dict[str, Callable[[], Any]] = {
        "list: spool, newest": lambda: page(SpoolFilter()),
        "list: spool, oldest": lambda: page(SpoolFilter(), sort="id"),
        "list: in the middle": lambda: page(SpoolFilter(), after=str(middle)),
        "list: waiting, newest": lambda: page(waiting),
        "popup: recipients": lambda: list(Recipient.objects.filter(entry_id=middle)),
        "popup: trace": lambda: list(Trace.objects.filter(file_name=entry.file_name)),
        "preview: delete a domain": lambda: preview("delete", SpoolFilter(sender_domain="bulk.test"), Actor.system()),
        "preview: delete what goes to a domain": lambda: preview(
            "delete", SpoolFilter(domain="dest0.test"), Actor.system()
        ),
        "preview: delete all": lambda: preview("delete", SpoolFilter(), Actor.system()),
        "domain administrator": lambda: page(SpoolFilter().limited_to("sender7.test")),
        "domain administrator, large domain": lambda: page(SpoolFilter().limited_to("bulk.test")),
        "domain administrator, sender": lambda: page(SpoolFilter(sender=entry.sender).limited_to(entry.sender_domain)),
    }
    for sort in SORTS:
        found[f"sort: waiting by {sort}"] = lambda sort=sort: page(waiting, sort=sort)  # type: ignore[misc]
        if sort.lstrip("-") not in ONLY_WAITING:
            found[f"sort: spool by {sort}"] = lambda sort=sort: page(SpoolFilter(), sort=sort)  # type: ignore[misc]
    filters: dict[str, dict[str, str]] = {
        "sender": {"sender": entry.sender},
        "no such sender": {"sender": "nobody@nowhere.test"},
        "sender with *": {"sender": "user77*"},
        "sender-domain": {"sender-domain": "sender7.test"},
        "large sender-domain": {"sender-domain": "bulk.test"},
        "recipient": {"recipient": recipient.address},
        "large domain": {"domain": "dest0.test"},
        "small domain": {"domain": "dest4000.test"},
        "ip": {"ip": entry.client_ip},
        "auth-user": {"auth-user": entry.sender},
        "id": {"id": entry.file_name},
        "message-id": {"message-id": entry.message_id},
        "subject": {"subject": "invoice lunch"},
        "rare subject": {"subject": f"{entry.subject}"},
        "no such subject": {"subject": "unheard of"},
        "status": {"status": "delay"},
        "empty status": {"status": "virus"},
        "inbound": {"direction": "inbound"},
        "high priority": {"priority": "high"},
        "normal priority": {"priority": "normal"},
        "hold": {"hold": "yes"},
        "not on hold": {"hold": "no"},
        "older": {"older": "3d"},
        "younger": {"younger": "1h"},
        "larger": {"larger": "10MB"},
        "smaller": {"smaller": "5KB"},
        "attempts": {"min-attempts": "29"},
        "error": {"error": "quota"},
        "error group": {"error-group": "452 4.2.2 The mailbox is over quota"},
        "next within": {"next-within": "3h"},
        "sender and domain": {"sender": entry.sender, "domain": "dest0.test"},
        "large domain, large sender-domain": {"domain": "dest0.test", "sender-domain": "bulk.test"},
        "domain, older, larger": {"domain": "dest0.test", "older": "1d", "larger": "1MB"},
        "domain, error group, waiting": {
            "domain": "dest1.test",
            "error-group": "452 4.2.2 The mailbox is over quota",
            "status": "waiting",
        },
    }
    for name, texts in filters.items():
        chosen = SpoolFilter.parse(texts)
        found[f"filter: {name}"] = lambda chosen=chosen: page(chosen)  # type: ignore[misc]
        found[f"count: {name}"] = lambda chosen=chosen: count(chosen)  # type: ignore[misc]
    searches = {
        "address": entry.sender,
        "domain": "dest0.test",
        "IP": entry.client_ip,
        "file name": entry.file_name,
        "Message-ID": entry.message_id,
        "words": "invoice lunch",
    }
    for name, text in searches.items():
        found[f"search: {name}"] = lambda text=text: page(from_text(text))  # type: ignore[misc]
    found["count: spool"] = lambda: count(SpoolFilter())
    found["count: waiting"] = lambda: count(waiting)
    found["selection: sample"] = lambda: Selection.of(SpoolFilter()).sample(10)
    return found


def main() -> None:
    results = {}
    for name, ask in questions().items():
        reset_queries()
        with CaptureQueriesContext(connection) as captured:
            ask()
        times = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            ask()
            times.append((time.perf_counter() - started) * 1000)
        times.sort()
        results[name] = {
            "median_ms": round(times[ROUNDS // 2], 2),
            "p95_ms": round(times[int(ROUNDS * 0.95) - 1], 2),
            "longest_ms": round(times[-1], 2),
            "queries": len(captured),
        }
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
