"""What the security lists cost each connection: `python -m bench.lists [--entries N] [--json FILE]`.

In one process, without sockets: the checks are called as a session calls them, with empty lists and with N networks,
N senders and N domains on them; beside it, how long reading and compiling the lists takes after a change.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROUNDS = 20_000
_MARK = "MAILSPOOL_BENCH_LISTS"


class Session:
    """What the checks look at."""

    user = None
    ehlo_name = "mail.client.example"
    hostname = "mail.bench.example"

    def __init__(self, client_ip: str) -> None:
        self.client_ip = client_ip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--json", default="", metavar="FILE", help="where to write the figures")
    options = parser.parse_args()
    if _MARK not in os.environ:
        # Once more, in a home of its own: Django has read its settings already.
        home = tempfile.mkdtemp(prefix="mailspool-bench-")
        env = {**os.environ, "MAILSPOOL_HOME": home, _MARK: "1"}
        try:
            again = [sys.executable, "-m", "bench.lists", *sys.argv[1:]]
            sys.exit(subprocess.run(again, env=env, check=False).returncode)
        finally:
            shutil.rmtree(home, ignore_errors=True)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    figures = {"empty lists": asyncio.run(_costs())}
    _fill(options.entries)
    figures[f"{options.entries:,} networks, senders, domains and host names"] = asyncio.run(_costs())
    for name, costs in figures.items():
        print(name)
        for what, value in costs.items():
            print(f"  {what:<45} {value:>10.2f}")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2))


def _fill(entries: int) -> None:
    from security import lists
    from security.models import BlacklistEntry, SMTPBlock

    chance = random.Random(1)
    networks: set[str] = set()
    while len(networks) < entries:
        length = chance.choice((24, 24, 28, 32, 32, 32, 32))
        number = chance.randrange(1 << 24, 200 << 24) >> (32 - length) << (32 - length)
        text = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
        networks.add(text if length == 32 else f"{text}/{length}")
    BlacklistEntry.objects.bulk_create(BlacklistEntry(network=network) for network in networks)
    kinds = (("address", "user{}@spam.example"), ("domain", "spam{}.example"), ("ehlo", "*.dyn{}.example"))
    SMTPBlock.objects.bulk_create(
        SMTPBlock(kind=kind, pattern=pattern.format(n)) for kind, pattern in kinds for n in range(entries)
    )
    lists.changed()


async def _costs() -> dict[str, float]:
    """Microseconds for each hook; milliseconds for reading the lists."""
    from security import lists
    from security.checks import BlacklistCheck, SMTPBlockCheck

    lists.forget()
    began = time.perf_counter()
    await asyncio.to_thread(lists.watch, lambda: None)
    read = (time.perf_counter() - began) * 1000
    chance = random.Random(2)
    sessions: list[Any] = [Session(f"203.{n % 256}.{n // 256}.{chance.randrange(256)}") for n in range(ROUNDS)]
    blacklist, blocks = BlacklistCheck(), SMTPBlockCheck()
    return {
        "on_connect, microseconds": await _timed(blacklist.on_connect, [(session,) for session in sessions]),
        "on_mail, microseconds": await _timed(
            blocks.on_mail, [(session, f"someone{n}@sender{n}.example") for n, session in enumerate(sessions)]
        ),
        "on_rcpt, microseconds": await _timed(blocks.on_rcpt, [(session, "x@here.example") for session in sessions]),
        "reading and compiling, milliseconds": read,
    }


async def _timed(hook: Callable[..., Awaitable[object]], calls: list[tuple[Any, ...]]) -> float:
    began = time.perf_counter()
    for arguments in calls:
        answer = await hook(*arguments)
        assert answer is None, answer
    return (time.perf_counter() - began) / len(calls) * 1e6


if __name__ == "__main__":
    main()
