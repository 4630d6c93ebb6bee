"""Reporting mistakes about quarantined messages to the engines that take reports: bounded, and errors are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from quarantine.engines.answers import EngineFailed
from quarantine.engines.mistakes import Lesson, teach
from quarantine.models.antispam import AntispamSettings
from quarantine.models.check import Check
from quarantine.models.item import Item, ItemKind, ItemState
from spool.places import trash

# So many messages in one step of a job, within so many seconds altogether, some of them at a time.
CHUNK: Final = 20
CHUNK_SECONDS: Final = 40.0
AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class _Message:
    path: Path
    size_bytes: int


def teachers() -> list[Check]:
    """The checks whose engines are told of mistakes."""
    return list(Check.objects.filter(learns=True))


def report(ids: Sequence[int], lesson: Lesson) -> str:
    """Tell every engine what these messages of the Spam Quarantine are; what went wrong, or "".

    Asks servers: not to be called in a transaction.
    """
    checks = teachers()
    if not checks:
        return "no engine takes reports"
    items = Item.objects.filter(id__in=list(ids), kind=ItemKind.SPAM, state=ItemState.HELD)
    some = list(items.defer("entry", "recipients", "findings"))
    with trash.as_files(some) as paths:
        messages = [_Message(paths[item.id], item.size_bytes) for item in some]
        return asyncio.run(_report_all(checks, messages, lesson, AntispamSettings.load().max_content_bytes))


async def _report_all(checks: Sequence[Check], messages: Sequence[_Message], lesson: Lesson, most_bytes: int) -> str:
    at_once = asyncio.Semaphore(AT_ONCE)
    failures: dict[str, list[str]] = {}

    async def one(check: Check, message: _Message) -> None:
        async with at_once:
            try:
                if message.size_bytes > most_bytes:
                    raise EngineFailed("the message is too large to look into")
                async with asyncio.timeout(check.timeout_seconds):
                    await teach(check, lesson, await asyncio.to_thread(message.path.read_bytes))
            except FileNotFoundError as error:
                gone = not message.path.exists()
                failures.setdefault(check.name, []).append("the file is missing" if gone else str(error))
            except TimeoutError:
                failures.setdefault(check.name, []).append(f"no answer within {check.timeout_seconds} s")
            except (EngineFailed, OSError) as error:
                failures.setdefault(check.name, []).append(str(error))

    tasks = [asyncio.ensure_future(one(check, message)) for message in messages for check in checks]
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=CHUNK_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if late:
            failures.setdefault("the engines", []).extend(["they were too slow"] * len(late))
    return "; ".join(f"{name} has not learned {len(whys)}: {whys[0]}" for name, whys in failures.items())
