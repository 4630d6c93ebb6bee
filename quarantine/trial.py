"""Trying the scanners and checks out on one message, which goes nowhere: the test boxes and `manage.py scan`."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from quarantine.engines.answers import Answer
from quarantine.engines.examined import Examined
from quarantine.engines.scanner import closed_after, scanners_for
from quarantine.models.antispam import AntispamSettings
from quarantine.models.antivirus import AntivirusSettings
from quarantine.models.check import Check
from quarantine.spam.score import Judgement, judge
from quarantine.virus.scan import Ruling, Scan, scan

LARGEST_BYTES = 25 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the checks are told of the message's session."""

    sender: str = ""
    recipient: str = ""
    client_ip: str = ""
    ehlo_name: str = ""
    outbound: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What would become of the message. Either is None when nothing looks for it."""

    scan: Scan | None
    judgement: Judgement | None

    @property
    def answers(self) -> list[Answer]:
        return self.scan.answers if self.scan else []

    @property
    def infected(self) -> bool:
        return self.scan is not None and self.scan.ruling is Ruling.QUARANTINE


def try_file(path: Path, envelope: Envelope, *, virus: bool = True, spam: bool = True) -> Trial:
    """Ask every scanner and check that is in use about the file. Raises OSError when it can't be read."""
    size = path.stat().st_size
    antivirus, antispam = AntivirusSettings.load(), AntispamSettings.load()
    scanners = scanners_for(antivirus) if virus else []
    direction = "outbound" if envelope.outbound else "inbound"
    checks = list(Check.objects.filter(**{direction: True})) if spam else []

    async def both() -> Trial:
        examined = Examined(
            path,
            size,
            envelope.sender,
            (envelope.recipient,) if envelope.recipient else (),
            envelope.client_ip,
            envelope.ehlo_name,
            ours=envelope.outbound,
            max_content_bytes=antispam.max_content_bytes,
        )
        with closed_after(scanners):
            found = await scan(path, size, scanners, antivirus) if scanners else None
        judgement = await judge(examined, checks, antispam) if checks else None
        return Trial(found, judgement)

    return asyncio.run(both())


def try_content(content: bytes, envelope: Envelope, *, virus: bool = True, spam: bool = True) -> Trial:
    """The same for a message in memory."""
    with tempfile.NamedTemporaryFile(prefix="mailspool-scan-", suffix=".eml") as file:
        file.write(content)
        file.flush()
        return try_file(Path(file.name), envelope, virus=virus, spam=spam)
