"""What a virus scanner is. A third party adds its own by dotted path (SPOOL_VIRUS_SCANNERS in settings):

class Sandbox(VirusScanner):
    name = "sandbox"
    async def scan(self, path, size_bytes): return Answer(self.name, Said.CLEAN)
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from quarantine.engines.answers import Answer
from quarantine.models.antivirus import AntivirusSettings


class VirusScanner:
    """One way to look for viruses. Made once in a process, and configured again and again."""

    name: str

    def configure(self, settings: AntivirusSettings) -> bool:
        """Use these settings from now on; whether this scanner is in use at all. Must be cheap."""
        return True

    async def scan(self, path: Path, size_bytes: int) -> Answer:
        """Look at the message in `path`. Failures are answers (`Said.FAILED`) too, and come in bounded time.

        Raises FileNotFoundError when the message is gone.
        """
        raise NotImplementedError

    async def scan_held(self, content: bytes, draft: Path) -> Answer:
        """The same for a message that has no file: it has one, `draft`, for as long as that takes.

        What needs no file overrides it.
        """
        await asyncio.to_thread(_write, draft, content)
        try:
            return await self.scan(draft, len(content))
        finally:
            draft.unlink(missing_ok=True)

    def wake(self) -> None:
        """Somebody wishes to see a try: if nothing is asked because it did not answer lately, ask it."""

    def close(self) -> None:
        """Let go what is kept open for the next scan: there is none for a while."""


def _write(draft: Path, content: bytes) -> None:
    draft.touch(mode=0o600)
    draft.write_bytes(content)


@cache
def all_scanners() -> tuple[VirusScanner, ...]:
    """Those of SPOOL_VIRUS_SCANNERS, in order."""
    return tuple(import_string(path)() for path in django_settings.SPOOL_VIRUS_SCANNERS)


def scanners_for(settings: AntivirusSettings) -> list[VirusScanner]:
    """Those that are in use."""
    return [scanner for scanner in all_scanners() if scanner.configure(settings)]


@contextmanager
def closed_after(scanners: Sequence[VirusScanner]) -> Iterator[None]:
    """Scan within it what one event loop has to scan."""
    try:
        yield
    finally:
        for scanner in scanners:
            scanner.close()
