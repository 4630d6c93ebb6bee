"""A listener process: its sockets, its sessions, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket

from django.conf import settings

from accounts.connections import serve_questions
from spool.heartbeat import Heart
from spool.smtpd.committer import Committer
from spool.smtpd.connections import Sessions, keep_looking, keep_writing_logins, write_logins
from spool.smtpd.session import HANDSHAKE_SECONDS, STOPPING, MailSession
from spool.smtpd.state import Port, Shared
from spool.sockets.binding import BACKLOG, open_sockets, shown
from spool.sockets.inheritance import Sockets
from spool.sockets.listeners import MAIL, SMTP, SMTPS

log = logging.getLogger(__name__)

DRAIN_SECONDS = 30.0


def sockets(inherited: Sockets) -> list[tuple[Port, socket.socket]]:
    """The listening sockets of this process: those that were handed over, and for the other listeners new ones.

    Raises CannotListen.
    """
    every = []
    for listener in MAIL:
        some = inherited.get(listener.name) or open_sockets(
            settings.MAILSPOOL_LISTEN[listener.name], purpose=listener.purpose, variable=listener.variable, shared=True
        )
        for one in some:
            port = Port(one.getsockname()[1], submission=listener is not SMTP, implicit_tls=listener is SMTPS)
            every.append((port, one))
    return every


async def serve(committer: Committer, inherited: Sockets) -> None:
    """Listen until SIGTERM or SIGINT, then finish the messages that are on their way in.

    `committer` has been started; `inherited` are the sockets that somebody holds for us.
    Raises OSError, also when the committer dies.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    died = asyncio.Event()

    def on_death() -> None:
        died.set()
        stop.set()

    await committer.attach(on_death)
    shared = Shared(committer)
    await shared.refresh()
    await shared.checks.start(shared)
    listening = sockets(inherited)
    servers = [await _listen(shared, port, one, loop) for port, one in listening]
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, shared.reload)
    sessions = Sessions(shared)
    heart = Heart("listeners", lambda: {"open_connections": shared.connections})
    helpers = [
        asyncio.ensure_future(work)
        for work in (
            shared.keep_fresh(), _beat(heart), serve_questions(sessions), keep_looking(sessions),
            keep_writing_logins(shared.logins),
        )
    ]  # fmt: skip
    print("listening on", ", ".join(shown(one) for _, one in listening), flush=True)
    await stop.wait()
    await _drain(shared, servers)
    for task in helpers:
        task.cancel()
    await write_logins(shared.logins)
    await asyncio.to_thread(heart.end)
    await committer.stop()
    if died.is_set():
        raise ChildProcessError("the committer died")


async def _drain(shared: Shared, servers: list[asyncio.Server]) -> None:
    """Let messages that have begun come to their end, within DRAIN_SECONDS; send all other clients away."""
    loop = asyncio.get_running_loop()
    shared.stopping = True
    for server in servers:
        server.close()
    for session in list(shared.sessions):
        if session.transaction is None and not session.deciding:
            session.say_goodbye(STOPPING)
    until = loop.time() + DRAIN_SECONDS
    while (shared.connections or shared.committer.pending) and loop.time() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    for session in list(shared.sessions):
        session.say_goodbye(STOPPING)
    # One turn of the loop writes what the sockets take.
    await asyncio.sleep(0)


async def _listen(shared: Shared, port: Port, one: socket.socket, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
    def session() -> MailSession:
        return MailSession(shared, port, loop)

    return await loop.create_server(
        session, sock=one, backlog=BACKLOG,
        ssl=shared.front() if port.implicit_tls else None,
        ssl_handshake_timeout=HANDSHAKE_SECONDS if port.implicit_tls else None,
    )  # fmt: skip


async def _beat(heart: Heart) -> None:
    """Tell /readyz and /metrics that this listener lives and what it has done, for ever."""
    while True:
        seconds = await asyncio.to_thread(heart.beat)
        await asyncio.sleep(seconds)
