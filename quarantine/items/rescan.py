"""Looking at quarantined messages again, after signatures or rules have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quarantine.engines.examined import Examined
from quarantine.engines.scanner import closed_after, scanners_for
from quarantine.models.antispam import AntispamSettings
from quarantine.models.antivirus import AntivirusSettings
from quarantine.models.check import Check
from quarantine.models.item import Item, ItemKind
from quarantine.spam.score import judge
from quarantine.virus.scan import Ruling, scan
from spool.models.entry import Direction, Origin
from spool.places import trash
from spool.trusted import was_ours


@dataclass(frozen=True, slots=True)
class Rescanned:
    """What a check says now. `passes`: it would not be caught; `problem` says why nothing could be found out."""

    item_id: int
    passes: bool
    why: str = ""
    score: float | None = None
    findings: tuple[dict[str, Any], ...] = ()
    problem: str = ""


def rescan(items: Sequence[Item]) -> list[Rescanned]:
    """One for each item, in their order. Asks servers: not to be called in a transaction."""
    ours = {item.id for item in items if _was_ours(item)}
    antivirus, antispam, checks = AntivirusSettings.load(), AntispamSettings.load(), list(Check.objects.all())
    with trash.as_files(items) as paths:
        return asyncio.run(_rescan_all(items, paths, antivirus, antispam, checks, ours))


def _was_ours(item: Item) -> bool:
    known = item.entry.get("ours")
    return was_ours(None if known is None else bool(known), item.auth_user, _origin(item), item.client_ip)


def _origin(item: Item) -> str:
    return str(item.entry.get("origin", Origin.SMTP))


async def _rescan_all(
    items: Sequence[Item],
    paths: Mapping[int, Path],
    antivirus: AntivirusSettings,
    antispam: AntispamSettings,
    checks: list[Check],
    ours: set[int],
) -> list[Rescanned]:
    scanners = scanners_for(antivirus)

    async def one(item: Item) -> Rescanned:
        try:
            if item.kind == ItemKind.VIRUS:
                if not scanners:
                    return Rescanned(item.id, False, problem="no scanner is set")
                found = await scan(paths[item.id], item.size_bytes, scanners, antivirus)
                answers = tuple(answer.as_json() for answer in found.answers)
                if found.ruling is Ruling.QUARANTINE:
                    return Rescanned(item.id, False, found.why, None, answers)
                # While nobody answers, mail may be delivered unscanned; what was caught is not.
                if not any(answer["said"] == "clean" for answer in answers):
                    return Rescanned(item.id, False, problem=found.why or "no scanner answers")
                return Rescanned(item.id, True)
            if item.blocked_by:
                return Rescanned(item.id, False, problem=f"{item.blocked_by} blocks their sender")
            return await _rejudge(item, paths[item.id], checks, antispam, ours=item.id in ours)
        except FileNotFoundError:
            return Rescanned(item.id, False, problem="their files are missing")

    with closed_after(scanners):
        return list(await asyncio.gather(*(one(item) for item in items)))


async def _rejudge(item: Item, path: Path, checks: list[Check], settings: AntispamSettings, *, ours: bool) -> Rescanned:
    outbound = item.direction == Direction.OUTBOUND
    wanted = [check for check in checks if (check.outbound if outbound else check.inbound)]
    if not wanted:
        return Rescanned(item.id, False, problem="no check is on")
    addresses = tuple(item.addresses.splitlines())
    examined = Examined(
        path,
        item.size_bytes,
        item.sender,
        addresses,
        item.client_ip,
        str(item.entry.get("ehlo_name", "")),
        item.auth_user,
        ours,
        _origin(item) == Origin.LIST,
        settings.max_content_bytes,
    )
    judgement = await judge(examined, wanted, settings)
    if any(result.failed for result in judgement.results):
        return Rescanned(item.id, False, problem="a check does not answer")
    findings = tuple(result.as_json() for result in judgement.results)
    passes = judgement.score < settings.outbound_threshold
    return Rescanned(item.id, passes, judgement.why, judgement.score, findings)
