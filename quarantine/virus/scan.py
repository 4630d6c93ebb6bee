"""Asking the virus scanners about one message, and what follows: deciding only, no rows are touched here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from quarantine.engines.answers import Answer, Said
from quarantine.engines.scanner import VirusScanner
from quarantine.models.antivirus import AntivirusSettings, WhenOversize, WhenUnanswered

TOO_LARGE = "too large to be scanned"


class Ruling(Enum):
    """What is to become of a message."""

    PASS = "pass"  # noqa: S105 (no password)
    HOLD = "hold"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Scan:
    """The ruling, in a few words why, and what each scanner said."""

    ruling: Ruling
    why: str = ""
    answers: list[Answer] = field(default_factory=list)


async def scan(
    path: Path,
    size_bytes: int,
    scanners: Sequence[VirusScanner],
    settings: AntivirusSettings,
    content: bytes | None = None,
) -> Scan:
    """Ask one scanner after the other; the first that finds something ends it. Raises FileNotFoundError.

    With `content` there is no file: `path` is where one may be made for as long as a scanner needs it.
    """
    if size_bytes > settings.max_scan_bytes:
        if settings.oversize == WhenOversize.QUARANTINE:
            return Scan(Ruling.QUARANTINE, f"{TOO_LARGE}: {size_bytes // 1024} KB")
        return Scan(Ruling.PASS, TOO_LARGE)
    answers = []
    for scanner in scanners:
        if content is None:
            answer = await scanner.scan(path, size_bytes)
        else:
            answer = await scanner.scan_held(content, path)
        answers.append(answer)
        if answer.said is Said.INFECTED:
            break
    return decide(answers, settings)


def decide(answers: list[Answer], settings: AntivirusSettings) -> Scan:
    """The ruling that follows. One scanner that found nothing is enough to deliver, though another did not answer."""
    for answer in answers:
        if answer.said is Said.INFECTED:
            return Scan(Ruling.QUARANTINE, f"{answer.text} ({answer.engine})", answers)
    if any(answer.said is Said.CLEAN for answer in answers):
        return Scan(Ruling.PASS, "", answers)
    why = "; ".join(dict.fromkeys(answer.text for answer in answers)) or "the scanners took too long"
    return unanswered(f"No virus scanner answers: {why}", settings, answers)


def unanswered(why: str, settings: AntivirusSettings, answers: list[Answer] | None = None) -> Scan:
    """What becomes of a message about which nobody has said anything."""
    held = settings.unanswered == WhenUnanswered.HOLD
    return Scan(Ruling.HOLD if held else Ruling.PASS, why, answers or [])
