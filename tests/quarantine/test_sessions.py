"""clamd's sessions: connections that are used for one scan after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from quarantine.engines import sessions
from quarantine.engines.answers import EngineFailed, Said
from quarantine.engines.clamd import Clamd as ClamdEngine
from quarantine.engines.scanner import closed_after
from quarantine.engines.sessions import Sessions
from quarantine.models.addresses import parse_server
from quarantine.models.antivirus import AntivirusSettings
from tests.support.broken_server import BrokenServer
from tests.support.clamd import EICAR, SIGNATURE, Clamd
from tests.support.messages import a_message
from tests.support.slow_server import SlowServer


@pytest.fixture
def message(tmp_path: Path) -> Path:
    path = tmp_path / "message.eml"
    path.write_bytes(a_message(size=200_000))
    return path


@pytest.fixture
def kept() -> Iterator[Sessions]:
    found = Sessions()
    yield found
    found.close()


def test_one_connection_serves_many_scans_and_each_gets_its_own_answer(
    clamd: Clamd, kept: Sessions, message: Path, tmp_path: Path
) -> None:
    infected, empty = tmp_path / "infected.eml", tmp_path / "empty.eml"
    infected.write_bytes(a_message() + EICAR)
    empty.write_bytes(b"")
    exact = tmp_path / "exact.eml"
    exact.write_bytes(a_message(size=2 * sessions.CHUNK_BYTES))

    async def scans() -> list[str]:
        found = [await kept.instream(server, path) for path in (message, infected, empty, exact, infected, message)]
        (session,) = kept._free[server]
        assert session._scans == 6
        return found

    server = parse_server(clamd.address)
    assert asyncio.run(scans()) == ["", SIGNATURE, "", "", SIGNATURE, ""]


def test_scans_at_once_have_a_connection_each_which_all_are_kept(kept: Sessions, message: Path) -> None:
    async def scans(server: str) -> None:
        for _ in range(3):
            await asyncio.gather(*(kept.instream(parse_server(server), message) for _ in range(5)))

    with SlowServer(0.1, b"stream: OK\0") as server:
        asyncio.run(scans(server.address))
        assert server.connections == server.most_open == 5


def test_a_session_that_the_server_has_ended_meanwhile_is_followed_by_another(kept: Sessions, message: Path) -> None:
    async def scans() -> None:
        for _ in range(3):
            assert await kept.instream(parse_server(server.address), message) == ""
            await asyncio.to_thread(server.drop)

    with SlowServer(0.0, b"stream: OK\0") as server:
        asyncio.run(scans())
        assert server.connections == 3


def test_a_server_that_went_away_for_good_is_an_error(kept: Sessions, message: Path) -> None:
    async def scans() -> None:
        with SlowServer(0.0, b"stream: OK\0") as server:
            address = parse_server(server.address)
            assert await kept.instream(address, message) == ""
            await asyncio.to_thread(server.drop)
        with pytest.raises(ConnectionRefusedError):
            await kept.instream(address, message)

    asyncio.run(scans())


def test_idle_sessions_are_closed_after_a_while(kept: Sessions, message: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "IDLE_SECONDS", 0.1)

    async def scans() -> None:
        address = parse_server(server.address)
        await asyncio.gather(*(kept.instream(address, message) for _ in range(3)))
        assert len(kept._free[address]) == 3
        async with asyncio.timeout(10):
            while kept._free[address]:
                await asyncio.sleep(0.05)

    with SlowServer(0.1, b"stream: OK\0") as server:
        asyncio.run(scans())


def test_another_loop_gets_connections_of_its_own(kept: Sessions, message: Path) -> None:
    with SlowServer(0.0, b"stream: OK\0") as server:
        for _ in range(2):
            assert asyncio.run(kept.instream(parse_server(server.address), message)) == ""
        assert server.connections == 2


def test_a_server_without_sessions_gets_a_connection_for_each_scan(kept: Sessions, message: Path) -> None:
    async def scans() -> None:
        for _ in range(2):
            assert await kept.instream(parse_server(server.address), message) == ""
        assert not kept._free

    with BrokenServer(b"stream: OK\0") as server:
        asyncio.run(scans())
        assert server.connections == 2


def test_a_server_that_refuses_sessions_is_asked_without_from_then_on(kept: Sessions, message: Path) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(word := await reader.readuntil(b"\0"))
        if word == b"zINSTREAM\0":
            while size := int.from_bytes(await reader.readexactly(4)):
                await reader.readexactly(size)
            writer.write(b"stream: Some.Virus FOUND\0")
        else:
            writer.write(b"UNKNOWN COMMAND\0")
            # Closed with something unread it would be reset, and the answer might be lost.
            while await reader.read(65536):
                pass
        writer.close()

    async def scans() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            address = parse_server(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
            for _ in range(3):
                assert await kept.instream(address, message) == "Some.Virus"

    asyncio.run(scans())
    assert heard == [b"zIDSESSION\0", *[b"zINSTREAM\0"] * 3]


def test_an_answer_to_another_scan_is_none(kept: Sessions, message: Path) -> None:
    with BrokenServer(b"2: stream: OK\0") as server, pytest.raises(EngineFailed, match="to scan 1"):
        asyncio.run(kept.instream(parse_server(server.address), message))
    assert not kept._free


def test_what_scans_in_a_loop_of_its_own_leaves_no_connection_behind(clamd: Clamd, message: Path) -> None:
    engine = ClamdEngine()
    assert engine.configure(AntivirusSettings(clamd_servers=clamd.address))
    with closed_after([engine]):
        answer = asyncio.run(engine.scan(message, message.stat().st_size))
        assert answer.said is Said.CLEAN
        assert len(engine._sessions._free) == 1
    assert not engine._sessions._free
