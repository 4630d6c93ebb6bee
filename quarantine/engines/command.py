"""A scanner that is a program: it gets the path of the message and answers by its exit status.

No shell, no standard input, a small environment, a time limit for the whole process group, and of its output no more
than the beginning is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

from quarantine.engines.answers import Answer, Said
from quarantine.engines.cooldown import Cooldown
from quarantine.engines.scanner import VirusScanner
from quarantine.models.antivirus import AntivirusSettings

MOST_OUTPUT_BYTES: Final = 64 * 1024


class CommandLine(VirusScanner):
    """The second scanner of the settings."""

    name = "command"

    def __init__(self) -> None:
        self.rests = Cooldown(allowed=3)
        self._words: list[str] = []
        self._infected = 1
        self._timeout_seconds = 60.0
        self._most = 0
        self._slots: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}

    def configure(self, settings: AntivirusSettings) -> bool:
        if not settings.command:
            return False
        self._words = settings.command_words
        self.name = Path(self._words[0]).name[:60]
        self._infected = settings.command_infected_status
        self._timeout_seconds = settings.command_timeout_seconds
        if settings.command_parallel != self._most:
            self._most = settings.command_parallel
            self._slots = {}
        return True

    async def scan(self, path: Path, size_bytes: int) -> Answer:
        if not path.exists():
            raise FileNotFoundError(path)
        async with self._slot():
            if self.rests.resting(self.name):
                return Answer(self.name, Said.FAILED, "it has not answered lately")
            started = time.monotonic()
            try:
                status, output = await self._run(path)
            except (OSError, TimeoutError) as error:
                limit = f"no answer within {self._timeout_seconds:g} s"
                why = limit if isinstance(error, TimeoutError) else error.strerror or str(error)
                self.rests.failed(self.name, why)
                return Answer(self.name, Said.FAILED, why)
            seconds = time.monotonic() - started
        line = next((line.strip() for line in output.splitlines() if line.strip()), "")
        if status == 0:
            self.rests.answered(self.name)
            return Answer(self.name, Said.CLEAN, "", seconds)
        if status == self._infected:
            self.rests.answered(self.name)
            return Answer(self.name, Said.INFECTED, line.replace(str(path), "").strip(": ")[:200] or "found", seconds)
        why = f"exit status {status}: {line[:200]}" if line else f"exit status {status}"
        self.rests.failed(self.name, why)
        return Answer(self.name, Said.FAILED, why, seconds)

    def wake(self) -> None:
        self.rests.wake()

    async def _run(self, path: Path) -> tuple[int, str]:
        words = [word.replace("{file}", str(path)) for word in self._words]
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        )
        assert process.stdout is not None
        kept = b""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                while piece := await process.stdout.read(16 * 1024):
                    kept = (kept + piece)[:MOST_OUTPUT_BYTES]
                status = await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return status, kept.decode("utf-8", "replace")

    def _slot(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if loop not in self._slots:
            self._slots = {loop: asyncio.Semaphore(self._most or 1)}
        return self._slots[loop]
