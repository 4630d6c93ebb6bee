"""The supervisor with small programs of its own."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailspool import supervisor as module
from mailspool.supervisor import Output, Program, Supervisor
from tests.support.waiting import wait_until


def a_program(tmp_path: Path, name: str, script: str) -> Program:
    """A program in the shell's language; `$OUT` is a file that it may write to."""
    return Program(name, ("sh", "-c", f"OUT={tmp_path / name}; {script}"))


def pids(file: Path) -> list[int]:
    """The process ids that a program has written, one for each of its lives."""
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


async def until(predicate: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.02)


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(tmp_path: Path, screen: io.StringIO) -> Supervisor:
    return Supervisor(Output(screen, width=8), folder=tmp_path, environment=os.environ)


def test_what_a_program_says_is_shown_with_its_name(
    tmp_path: Path, supervisor: Supervisor, screen: io.StringIO
) -> None:
    async def scenario() -> None:
        supervisor.start([a_program(tmp_path, "talker", "echo hello; echo aside >&2; exec sleep 60")])
        await until(lambda: "aside" in screen.getvalue())
        await supervisor.stop(5)

    asyncio.run(scenario())

    assert "talker   | hello" in screen.getvalue()


def test_a_killed_program_is_started_again(tmp_path: Path, supervisor: Supervisor, screen: io.StringIO) -> None:
    async def scenario() -> float:
        supervisor.start([a_program(tmp_path, "victim", "echo $$ >>$OUT; exec sleep 60")])
        await until(lambda: len(pids(tmp_path / "victim")) == 1)
        killed = time.monotonic()
        os.kill(pids(tmp_path / "victim")[0], signal.SIGKILL)
        await until(lambda: len(pids(tmp_path / "victim")) == 2)
        healed = time.monotonic() - killed
        await supervisor.stop(5)
        return healed

    assert asyncio.run(scenario()) < 10
    assert "victim ended with SIGKILL; starting it again in 0.2 s" in screen.getvalue()


def test_a_program_that_keeps_failing_is_tried_less_and_less_often(
    tmp_path: Path, supervisor: Supervisor, screen: io.StringIO
) -> None:
    async def scenario() -> None:
        supervisor.start([a_program(tmp_path, "broken", "exit 3")])
        await until(lambda: "in 0.8 s" in screen.getvalue())
        await supervisor.stop(5)

    asyncio.run(scenario())

    pauses = [line.rpartition(" in ")[2] for line in screen.getvalue().splitlines() if "status 3" in line]
    assert pauses == ["0.2 s", "0.4 s", "0.8 s"]


def test_a_pause_between_two_lives_does_not_hold_up_the_end(
    tmp_path: Path, supervisor: Supervisor, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 60.0)

    async def scenario() -> float:
        supervisor.start([a_program(tmp_path, "broken", "exit 3")])
        await until(lambda: "in 60 s" in screen.getvalue())
        began = time.monotonic()
        await supervisor.stop(30)
        return time.monotonic() - began

    assert asyncio.run(scenario()) < 20


def test_stopping_lets_a_program_finish_what_it_began(tmp_path: Path, supervisor: Supervisor) -> None:
    script = "trap 'sleep 0.5; echo drained >$OUT.end; exit 0' TERM; echo $$ >>$OUT; while :; do sleep 0.05; done"

    async def scenario() -> None:
        supervisor.start([a_program(tmp_path, "careful", script)])
        await until(lambda: pids(tmp_path / "careful"))
        await supervisor.stop(20)

    asyncio.run(scenario())

    assert (tmp_path / "careful.end").read_text() == "drained\n"
    assert len(pids(tmp_path / "careful")) == 1


def test_a_program_that_will_not_end_is_killed(tmp_path: Path, supervisor: Supervisor, screen: io.StringIO) -> None:
    async def scenario() -> None:
        script = "trap '' TERM; echo $$ >>$OUT; while :; do sleep 0.05; done"
        supervisor.start([a_program(tmp_path, "stubborn", script)])
        await until(lambda: pids(tmp_path / "stubborn"))
        await supervisor.stop(0.5)

    asyncio.run(scenario())

    assert "killing stubborn: too slow to end" in screen.getvalue()
    assert is_gone(pids(tmp_path / "stubborn")[0])


def test_children_of_a_killed_program_do_not_outlive_it(tmp_path: Path, supervisor: Supervisor) -> None:
    async def scenario() -> None:
        script = "sleep 300 & echo $! >>$OUT.child; echo $$ >>$OUT; wait"
        supervisor.start([a_program(tmp_path, "parent", script)])
        await until(lambda: pids(tmp_path / "parent"))
        child = pids(tmp_path / "parent.child")[0]
        os.kill(pids(tmp_path / "parent")[0], signal.SIGKILL)
        await until(lambda: is_gone(child))
        await supervisor.stop(5)

    asyncio.run(scenario())


def test_a_line_without_end_does_not_stop_the_output(
    tmp_path: Path, supervisor: Supervisor, screen: io.StringIO
) -> None:
    async def scenario() -> None:
        script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after; exec sleep 60"
        supervisor.start([a_program(tmp_path, "verbose", script)])
        await until(lambda: "after" in screen.getvalue())
        await supervisor.stop(5)

    asyncio.run(scenario())

    assert "left out" in screen.getvalue()


def test_programs_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    script = f"""
import asyncio, io, os, pathlib
from mailspool.supervisor import Output, Program, Supervisor
async def main():
    supervisor = Supervisor(Output(io.StringIO(), 8), folder=pathlib.Path("/"), environment=os.environ)
    supervisor.start([Program("child", ("sh", "-c", "echo $$ >{tmp_path}/child; exec sleep 300"))])
    await asyncio.sleep(300)
asyncio.run(main())
"""
    killed = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", script])
    wait_until(lambda: pids(tmp_path / "child"), "the child has started", 20)

    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)

    wait_until(lambda: is_gone(pids(tmp_path / "child")[0]), "the child is gone")
