"""The group commit of one listener: a process of its own between the sessions and the disk.

Sessions hand their messages over a socket pair. The committer takes all that are waiting, has `spool.flow.intake` make
them durable in one go, and only then is each session of the batch told to answer 250. While one batch is on its way to
the disk the next one gathers.

It is a process because both sides are busy with short system calls: as threads of one interpreter they would wait for
its lock after every one of them. When it dies, messages without an answer get 451 and the listener ends, to be
started anew as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from django.db import close_old_connections, connections

from base.edges import OUTAGES
from spool.files import store
from spool.flow import doorbell, intake, local_bell
from spool.flow.intake import IntakeError, IntakeUnavailable
from spool.message.envelope import Submission
from spool.places import contents
from spool.rows import statements
from spool.smtpd.batches import GOODBYE, Frames, Gatherer, framed

log = logging.getLogger(__name__)

# How long a thread may keep the interpreter from another one; the two that write files are mostly in system calls.
SWITCH_SECONDS = 0.0005

# The disk or the database: no message is to blame.
_OUTAGES = (*OUTAGES, OSError)

Result = str | IntakeError


class Committer(asyncio.Protocol):
    """The sessions' end. `start` before the event loop runs, `attach` in it; then loop thread only."""

    def __init__(self) -> None:
        self._socket: socket.socket
        self._pid = 0
        self._transport: asyncio.Transport | None = None
        self._loop: asyncio.AbstractEventLoop
        self._waiting: deque[tuple[Submission, asyncio.Future[str]]] = deque()
        self._inbox = Frames()
        self._on_death: Callable[[], None] = lambda: None
        self._ending = False
        self._ended = asyncio.Event()

    @property
    def pending(self) -> int:
        """Messages that are neither taken nor refused yet."""
        return len(self._waiting)

    def start(self, not_for_it: Iterable[socket.socket] = ()) -> None:
        """Begin the process. A fork, so call it while there is but one thread. Raises OSError.

        It closes `not_for_it`, which the listener has open.
        """
        self._socket, theirs = socket.socketpair()
        # No two processes may speak on one connection.
        connections.close_all()
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                self._socket.close()
                for one in not_for_it:
                    one.close()
                serve(theirs)
                status = 0
            except Exception:  # the edge of a process: what ends it is told
                log.exception("the committer failed")
            finally:
                # Whoever read it may be gone.
                with contextlib.suppress(OSError):
                    sys.stdout.flush()
                logging.shutdown()
                os._exit(status)
        theirs.close()

    async def attach(self, on_death: Callable[[], None]) -> None:
        """Be ready for `submit`; `on_death` is called when the process ends unasked."""
        self._loop = asyncio.get_running_loop()
        self._on_death = on_death
        self._socket.setblocking(False)
        self._transport, _ = await self._loop.create_connection(lambda: self, sock=self._socket)

    def submit(self, submission: Submission, clients: int = 0) -> asyncio.Future[str]:
        """Queue a message; the future's result is its file name, its exception an IntakeError.

        `clients` are connected now: those of them that wait for no answer yet may soon bring another message.
        """
        future: asyncio.Future[str] = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            self._resolve(submission, future, IntakeUnavailable())
            return future
        self._waiting.append((submission, future))
        self._transport.write(framed((submission, clients - len(self._waiting))))
        return future

    async def stop(self) -> None:
        """Have what is queued committed, then end the process."""
        self._ending = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(GOODBYE)
        if self._transport is not None:
            # It has then answered all.
            await self._ended.wait()
        await asyncio.to_thread(os.waitpid, self._pid, 0)

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        self._inbox.feed(data)
        while (frame := self._inbox.next()) is not None:
            results: Sequence[Result] = pickle.loads(frame)  # noqa: S301 – from our own child
            for result in results:
                self._resolve(*self._waiting.popleft(), result)

    def connection_lost(self, error: Exception | None) -> None:
        self._ended.set()
        if self._ending and not self._waiting:
            return
        log.error("the committer has died; %d messages were left without an answer", len(self._waiting))
        while self._waiting:
            self._resolve(*self._waiting.popleft(), IntakeUnavailable())
        self._on_death()

    def _resolve(self, submission: Submission, future: asyncio.Future[str], result: Result) -> None:
        if isinstance(result, str):
            if not future.done():
                future.set_result(result)
            return
        if submission.spilled is not None:
            store.unlink(submission.spilled)
        if not future.done():
            future.set_exception(result)


def serve(channel: socket.socket) -> None:
    """The process: commit what comes until goodbye, or until the listener is gone.

    What a listener that died had not seen begun is dropped: its clients have no answer and will send it again.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # The listener says when to end.
        signal.signal(number, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_SECONDS)
    statements.keep_statements()
    writer = contents.writer()
    bell, ringer = local_bell.Bell(), doorbell.Ringer()
    gatherer = Gatherer(channel)
    while batch := gatherer.next_batch():
        results = _commit(writer, batch)
        if any(isinstance(result, str) for result in results) and not bell.ring():
            ringer.ring()
        try:
            channel.sendall(framed(results))
        except OSError:
            log.warning("the listener died while its messages were being committed")
    bell.close()
    ringer.close()
    writer.close()
    connections.close_all()


def _commit(writer: store.Writer, batch: Sequence[Submission]) -> Sequence[Result]:
    try:
        return intake.commit(writer, batch)
    except IntakeError as error:
        close_old_connections()
        if error.__cause__ is None or isinstance(error.__cause__, _OUTAGES):
            return [type(error)()] * len(batch)
    except Exception:  # the edge of the process: one bad batch must not end intake
        log.exception("intake failed")
        connections.close_all()
    if len(batch) > 1:
        # There is something in one of them that can't be kept: that is no reason to refuse the others.
        return [result for submission in batch for result in _commit(writer, [submission])]
    return [IntakeUnavailable()]
