"""The latency run of the mail flow's benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import runs
from bench.systems import System, scanning, uncounted
from tests.support.sink import CountingSink


class Straight(System):
    """A system that is nothing but the next hop itself."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def parts(self) -> dict[str, list[int]]:
        return {}

    def intake_only(self) -> int:
        return self.port

    def deliver_again(self) -> None: ...

    def deliver_latency_to(self, port: int) -> None: ...


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[CountingSink]:
    sink = CountingSink(tmp_path)
    sink.start()
    yield sink
    sink.stop()


@pytest.mark.parametrize("name", [uncounted("mailspool/sqlite"), scanning("mailspool/postgres"), "postfix"])
def test_the_messages_of_a_system_are_found_whatever_its_name(name: str, sink: CountingSink) -> None:
    found = runs.latency(Straight(name, sink.port), sink, rate=50, seconds=0.4, size=1000)

    assert found.messages == 20
