"""A listener process: its sockets and its sessions, from the first client to the last."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable

from django.conf import settings

from accounts.connections import serve_questions
from spool.monitoring.heartbeat import Heart
from spool.monitoring.names import ADDRESSES, CONNECTIONS, LISTENERS
from spool.smtpd.committer import Committer
from spool.smtpd.connections import Sessions, keep_looking, keep_writing_logins, write_logins
from spool.smtpd.drain import drain
from spool.smtpd.readiness import wait_until_ready
from spool.smtpd.session import MailSession
from spool.smtpd.shared import Port, Shared
from spool.sockets import service_manager
from spool.sockets.binding import BACKLOG, open_sockets, shown
from spool.sockets.inheritance import Handed
from spool.sockets.listeners import MAIL, SMTP, SMTPS

log = logging.getLogger(__name__)


async def serve(committer: Committer, handed: Handed, fault: Callable[[], str]) -> None:
    """Listen until SIGTERM or SIGINT, then finish the messages that are on their way in.

    `committer` has been started; `handed` are the sockets that somebody holds for us. As long as `fault` says what is
    wrong, or the database does not answer, all clients are told to come back. Raises OSError, also when the committer
    dies.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    died = asyncio.Event()

    def on_death() -> None:
        died.set()
        stop.set()

    await committer.attach(on_death)
    shared = Shared(committer)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, shared.reload)
    listening = sockets(handed)
    if await wait_until_ready(shared, listening, stop, fault):
        await _take_mail(shared, listening, stop)
    await committer.stop()
    if died.is_set():
        raise ChildProcessError("the committer died")


async def _take_mail(shared: Shared, listening: list[tuple[Port, socket.socket]], stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    servers = [await _listen(shared, port, one, loop) for port, one in listening]
    sessions = Sessions(shared)
    where = " ".join(shown(one) for _, one in listening)
    end_heart = Heart(LISTENERS, lambda: {CONNECTIONS: shared.connections, ADDRESSES: where}, shared.in_hand).start()
    helpers = [
        asyncio.ensure_future(work)
        for work in (
            shared.keep_fresh(),
            serve_questions(sessions),
            keep_looking(sessions),
            keep_writing_logins(shared.logins),
        )
    ]
    shared.status = f"listening on {', '.join(shown(one) for _, one in listening)}"
    print(shared.status, flush=True)
    service_manager.ready(shared.status)
    await stop.wait()
    service_manager.stopping()
    await drain(shared, servers)
    for task in helpers:
        task.cancel()
    await write_logins(shared.logins)
    await asyncio.to_thread(end_heart)


def sockets(handed: Handed) -> list[tuple[Port, socket.socket]]:
    """The listening sockets of this process: those that were handed over, and for the other listeners our own.

    Our own are kept by systemd for our next life. Raises CannotListen.
    """
    every = []
    for listener in MAIL:
        some = handed.given.get(listener.name)
        if some is None:
            kept = handed.kept.get(listener.name, [])
            some = open_sockets(settings.MAILSPOOL_LISTEN[listener.name], listener, shared=True, kept=kept)
            service_manager.keep(listener.name, some, afresh=bool(kept))
        for one in some:
            port = Port(one.getsockname()[1], submission=listener is not SMTP, implicit_tls=listener is SMTPS)
            every.append((port, one))
    return every


async def _listen(shared: Shared, port: Port, one: socket.socket, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
    def session() -> MailSession:
        return MailSession(shared, port, loop)

    # Without TLS on every port: sessions begin it themselves, when it is known that they may.
    return await loop.create_server(session, sock=one, backlog=BACKLOG)
