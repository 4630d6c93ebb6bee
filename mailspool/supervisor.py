"""Keeps programs running: starts them, shows what they say, starts them again when they end, stops them in order.

Not for what the programs are: that is processes.py. One thread, so that the kernel's "your parent has died" comes when
the supervisor dies and at no other time (prctl(2)).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
# What has run for so long was healthy: when it ends, it is started again without a growing pause.
HEALTHY_SECONDS = 10.0
# A listener finishes messages in progress for up to 30 s.
DRAIN_SECONDS = 35.0
_LONGEST_LINE_BYTES = 1 << 20
_LAST_WORDS_SECONDS = 1.0
# Cyan, yellow, green, magenta, red and blue, then the same bright (ECMA-48, 8.3.117).
_COLOURS = tuple(f"\033[0;{number}{bright}m" for bright in ("", ";1") for number in (36, 33, 32, 35, 31, 34))
_NO_COLOUR = "\033[0m"


@dataclass(frozen=True, slots=True)
class Program:
    """A command that is to run always. `orphan_signal` is what it gets when the supervisor itself is killed.

    `descriptors` are listening sockets that its command names: it inherits them in each of its lives.
    """

    name: str
    command: tuple[str, ...]
    descriptors: tuple[int, ...] = ()
    orphan_signal: str = "TERM"


class Output:
    """Lines of many programs on one screen, each with the time and a name before it, coloured on a terminal."""

    def __init__(self, stream: TextIO, width: int) -> None:
        self._stream = stream
        self._width = width
        self._colour_of: dict[str, str] = {}

    def line(self, name: str, text: bytes | str) -> None:
        """Show one line."""
        before = f"{datetime.now():%H:%M:%S} {name.ljust(self._width)} | "
        if self._stream.isatty():
            colour = self._colour_of.setdefault(name, _COLOURS[len(self._colour_of) % len(_COLOURS)])
            before = f"{colour}{before}{_NO_COLOUR}"
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        for line in text.splitlines():
            print(before + line, file=self._stream, flush=True)


class Supervisor:
    """The running programs. `inherited` are file descriptors that every program keeps open."""

    def __init__(
        self, output: Output, *, folder: Path, environment: Mapping[str, str], inherited: Sequence[int] = ()
    ) -> None:
        self._output = output
        self._folder = folder
        self._environment = dict(environment)
        self._inherited = tuple(inherited)
        self._kept: dict[str, asyncio.Task[None]] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._ending: set[str] = set()

    def start(self, programs: Sequence[Program]) -> None:
        """Keep the programs running from now on."""
        for program in programs:
            self._kept[program.name] = asyncio.create_task(self._keep(program), name=program.name)

    async def stop(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Ask the programs to end, wait until they have, and kill those that take longer than `drain_seconds`."""
        tasks = list(self._kept.values())
        self._ending.update(self._kept)
        for name, process in self._running.items():
            self.say(f"stopping {name}")
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        # One that is between two lives has no process to end.
        for name, task in self._kept.items():
            if name not in self._running:
                task.cancel()
        _, late = await asyncio.wait(tasks, timeout=drain_seconds) if tasks else (set(), set())
        if late:
            self.say(f"killing {', '.join(sorted(task.get_name() for task in late))}: too slow to end")
            self.kill()
            await asyncio.wait(late)
        self._kept.clear()
        self._ending.clear()

    def kill(self) -> None:
        """SIGKILL to all programs and their children."""
        for process in self._running.values():
            _kill_group(process.pid)

    def say(self, text: str) -> None:
        """Show a line of the supervisor's own."""
        self._output.line("mailspool", text)

    async def _keep(self, program: Program) -> None:
        pause = FIRST_PAUSE_SECONDS
        while program.name not in self._ending:
            began = time.monotonic()
            try:
                how = _how(await self._run_once(program))
            except OSError as error:
                # No memory or no process to be had: that passes.
                how = str(error)
            if program.name in self._ending:
                self.say(f"{program.name} ended")
                return
            if time.monotonic() - began >= HEALTHY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            self.say(f"{program.name} ended with {how}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _run_once(self, program: Program) -> int:
        """Run the program to its end; returns its exit status as subprocess tells it. Raises OSError."""
        # A pipe of our own: asyncio's would have us wait for children that keep it open after their parent's death.
        reading, writing = os.pipe()
        showing = asyncio.create_task(self._show(program.name, reading))
        try:
            process = await asyncio.create_subprocess_exec(
                "setpriv",
                "--pdeathsig",
                program.orphan_signal,
                "--",
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=asyncio.subprocess.STDOUT,
                cwd=self._folder,
                env=self._environment,
                pass_fds=(*self._inherited, *program.descriptors),
                # Ctrl-C at the terminal is for the supervisor alone, which then stops them in order.
                start_new_session=True,
            )
        finally:
            os.close(writing)
        self._running[program.name] = process
        if program.name in self._ending:
            process.terminate()
        try:
            status = await process.wait()
        finally:
            del self._running[program.name]
            # Children that outlive it (gunicorn's workers after a SIGKILL) would sit on its port.
            _kill_group(process.pid)
        # What it said last is shown; a stray that took the pipe elsewhere doesn't hold up the next life.
        await asyncio.wait([showing], timeout=_LAST_WORDS_SECONDS)
        showing.cancel()
        return status

    async def _show(self, name: str, descriptor: int) -> None:
        """Show the lines that come from the pipe until nobody holds its other end."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LONGEST_LINE_BYTES)
        pipe = os.fdopen(descriptor, "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            while not reader.at_eof():
                try:
                    line = await reader.readline()
                except ValueError:
                    self._output.line(name, "(a line of more than a megabyte is left out)")
                else:
                    self._output.line(name, line)
        finally:
            transport.close()


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _how(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"status {status}"
