"""Times every page: `python -m bench.every_page [administrator|help-desk|domain|user] [TEXT]`, on a full installation.

Each is asked as a browser does, through every middleware and template. Prints JSON: for each page the CPU of the web
process and of its PostgreSQL backend (95th percentile), wall time, the number of queries and of the most that are alike
but for their values, and bytes on the wire. With TEXT only pages whose name has it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections import Counter
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import django

django.setup()

from django.core.cache import cache  # noqa: E402
from django.db import connection, reset_queries  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import User  # noqa: E402
from accounts.sign_in.session import note_proof  # noqa: E402
from base import garbage  # noqa: E402
from bench.addresses import LARGEST_USER, Asked, of_administrators, of_users  # noqa: E402

ROUNDS = 6
# A page that takes longer than this is not asked so often.
SLOW_SECONDS, FEW_ROUNDS = 2.0, 2
PEOPLE = {
    "administrator": ("bench@localhost", of_administrators),
    "help-desk": ("helper@localhost", of_administrators),
    "domain": (LARGEST_USER, of_users),
    "user": ("user1@bulk.test", of_users),
}
# Exports go on for as long as there are rows; what comes after the first part costs the same.
_PARTS = 20


def main(role: str, text: str) -> None:
    logging.disable(logging.ERROR)
    email, asked = PEOPLE[role]
    client = Client(headers={"host": "localhost", "accept-encoding": "gzip"}, raise_request_exception=False)
    client.force_login(User.objects.get(email=email))
    session = client.session
    note_proof(session, timezone.now())
    session.save()
    # What a process reads once is not this page's.
    client.get("/session/")
    client.get("/me/" if role in ("domain", "user") else "/admin/")
    # As mailspool.wsgi does.
    garbage.settle()
    results: dict[str, Any] = {}
    for one in asked():
        if text in one.name:
            results[one.name] = _timed(client, one)
            print(f"{results[one.name]} {one.name}", file=sys.stderr)
    missing = [name for name, found in results.items() if found["status"] in (404, 500)]
    json.dump(results, sys.stdout)
    if missing and role == "administrator":
        raise SystemExit(f"Not answered: {', '.join(missing)}")


def _timed(client: Client, one: Asked) -> dict[str, Any]:
    cpu, wall = [], []
    rounds, number = ROUNDS, 0
    status = size = 0
    captured = CaptureQueriesContext(connection)
    while number <= rounds:
        cache.clear()
        reset_queries()
        with captured:
            began, spent = time.perf_counter(), _spent_seconds()
            answer = client.post(one.path, one.posted) if one.posted else client.get(one.path)
            parts = answer.streaming_content if answer.streaming else [answer.content]
            size = sum(map(len, islice(parts, _PARTS)))  # type: ignore[arg-type]
            spent, began = _spent_seconds() - spent, time.perf_counter() - began
            answer.close()
        status = answer.status_code
        if number or began > SLOW_SECONDS:
            cpu.append(spent)
            wall.append(began)
        if began > SLOW_SECONDS:
            rounds = FEW_ROUNDS
        number += 1
    alike = Counter(_without_values(query["sql"]) for query in captured.captured_queries)
    return {
        "cpu_ms": round(_p95(cpu) * 1000),
        "wall_ms": round(_p95(wall) * 1000),
        "queries": len(captured),
        "alike": max(alike.values(), default=0),
        "bytes": size,
        "status": status,
    }


def _p95(values: list[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.95) - 1)]


def _spent_seconds() -> float:
    """CPU of this process, and of the server's part in it."""
    spent = time.process_time()
    if connection.vendor == "postgresql" and connection.connection is not None:
        with suppress(OSError):
            backend = connection.connection.info.backend_pid
            spent += int(Path(f"/proc/{backend}/schedstat").read_text().split()[0]) / 1e9
    return spent


def _without_values(statement: str) -> str:
    return re.sub(r"'[^']*'|\b\d+\b", "?", statement)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "administrator", " ".join(sys.argv[2:]))
