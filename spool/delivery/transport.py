"""Remote delivery: transactions queued by destination, sent over kept connections.

A destination is a domain, a route's host or an LMTP store. It opens one connection, and more only after one has proved
alive and while its queue is longer than they can soon take. When none of its hosts answers, everything queued for it
gets that one result, and it rests: a dead host costs one connection, not one per message.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spool.delivery.client import Connection, ConnectionFailed, Peer, TLSFailed
from spool.delivery.mx import Exchangers, NoRoute
from spool.delivery.replies import BrokenReply, Reply
from spool.delivery.routes import NextHop, RoutingTable
from spool.envelope import AttemptRecord, LeasedEntry, LeasedRecipient, RecipientResult
from spool.models.recipient import Outcome
from spool.models.route import TLSPolicy
from spool.models.settings import Settings

IDLE_SECONDS = 5.0
LONGEST_REST_SECONDS = 3600.0
# A further connection is worth opening when at least this many transactions wait for each there is.
QUEUE_PER_CONNECTION = 2
LONGEST_RESULT = 500

Done = Callable[["Transaction", list[RecipientResult], list[AttemptRecord]], None]


@dataclass(slots=True)
class Transaction:
    """One entry for its recipients at one destination. `done` is called once, with a result for each of them."""

    entry: LeasedEntry
    recipients: list[LeasedRecipient]
    done: Done
    tried_again: bool = False

    def finish(self, replies: Sequence[Reply], peer: str, attempt: AttemptRecord | None, *, relayed: bool) -> None:
        """Report one reply per recipient."""
        results = [
            RecipientResult(
                recipient, _outcome(reply), reply.text[:LONGEST_RESULT], reply.enhanced, peer,
                relayed=relayed and reply.code // 100 == 2,
            )
            for recipient, reply in zip(self.recipients, replies, strict=True)
        ]  # fmt: skip
        self.done(self, results, [attempt] if attempt else [])

    def fail(
        self, reply: str, status_code: str, outcome: Outcome, attempt: AttemptRecord | None = None, *, host: str = "",
        dns: bool = False,
    ) -> None:  # fmt: skip
        """Report the same for every recipient."""
        results = [
            RecipientResult(recipient, outcome, reply[:LONGEST_RESULT], status_code, host, dns)
            for recipient in self.recipients
        ]
        self.done(self, results, [attempt] if attempt else [])


def _outcome(reply: Reply) -> Outcome:
    if reply.code // 100 == 2:
        return Outcome.DELIVERED
    # 552 for too many recipients is a limit of the moment, not of the message (RFC 5321 4.5.3.1.10).
    return Outcome.BOUNCED if reply.permanent and reply.code != 503 else Outcome.PENDING


class Transport:
    """All destinations of one worker. Loop thread only."""

    def __init__(self, hostname: str, workers: int, resolver: str = "") -> None:
        self.hostname = hostname
        self.workers = workers
        self.exchangers = Exchangers(hostname, resolver)
        self.settings = Settings()
        self.routes = RoutingTable()
        self.open_connections = 0
        self._destinations: dict[str, Destination] = {}

    def configure(self, settings: Settings, routes: RoutingTable) -> None:
        """Use these from now on."""
        self.settings = settings
        self.routes = routes

    def put(self, entry: LeasedEntry, recipients: Sequence[LeasedRecipient], done: Done, *, lmtp: bool = False) -> int:
        """Queue `entry` for `recipients`; `done` will be called as many times as the number returned."""
        groups: dict[str, list[LeasedRecipient]] = {}
        for recipient in recipients:
            groups.setdefault(self._key(recipient.domain, lmtp), []).append(recipient)
        for key, group in groups.items():
            destination = self._destinations.get(key)
            if destination is None:
                destination = self._destinations[key] = Destination(self, key, group[0].domain, lmtp=lmtp)
            destination.put(Transaction(entry, group, done))
        return len(groups)

    def _key(self, domain: str, lmtp: bool) -> str:
        if lmtp:
            return f"lmtp {self.settings.lmtp_address}"
        # All that was agreed on when a connection was opened: one that is kept must not serve a stricter policy.
        hop = self.routes.route_for(domain)
        if hop:
            return f"route {hop.host}:{hop.port} {hop.tls.value} {hop.username} {hop.source_address}"
        return f"{domain} {self.settings.smtp_out_port} {self.settings.tls_policy} {self.settings.source_address}"

    async def close(self, grace_seconds: float) -> None:
        """Finish what is on the wire; report what is not as pending."""
        await asyncio.gather(*(d.close(grace_seconds) for d in self._destinations.values()))

    def remaining_connections(self) -> int:
        """How many more connections this worker may open; the limit is shared evenly by the workers."""
        return -(-self.settings.max_remote_deliveries // self.workers) - self.open_connections


class Destination:
    """The queue and the connections of one destination."""

    def __init__(self, transport: Transport, key: str, domain: str, *, lmtp: bool) -> None:
        self._transport = transport
        self._domain = domain
        self._lmtp = lmtp
        self._queue: deque[Transaction] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.Event] = set()
        self._proved = False
        self._rest_until = 0.0
        self._rest_seconds = 0.0
        self._rest_reason = ""
        self._clear_text_only: set[str] = set()
        self._closing = False

    def put(self, transaction: Transaction) -> None:
        """Queue a transaction, or answer it at once while the destination rests."""
        if time.monotonic() < self._rest_until:
            transaction.fail(self._resting_reply(), "4.4.1", Outcome.PENDING)
            return
        self._queue.append(transaction)
        if self._idle:
            self._idle.pop().set()
        elif not self._tasks or (
            self._proved
            and len(self._queue) > QUEUE_PER_CONNECTION * len(self._tasks)
            and len(self._tasks) < self._limit()
            and self._transport.remaining_connections() > 0
        ):
            task = asyncio.ensure_future(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _limit(self) -> int:
        hop = None if self._lmtp else self._transport.routes.route_for(self._domain)
        limit = (hop.max_connections if hop else 0) or self._transport.settings.max_per_destination
        return -(-limit // self._transport.workers)

    def _resting_reply(self) -> str:
        until = datetime.now(UTC) + timedelta(seconds=self._rest_until - time.monotonic())
        return f"{self._rest_reason}; not tried again before {until:%H:%M:%S} UTC"

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._fail_all(f"delivery failed: {task.exception()!r}")
        elif self._queue and not self._tasks and not self._closing:
            # It came between the last look at the queue and the end of the task.
            self.put(self._queue.popleft())

    async def _serve(self) -> None:
        """One connection's life: open it, work off the queue, wait a little for more, say goodbye."""
        self._transport.open_connections += 1
        connection: Connection | None = None
        try:
            while self._queue and not self._closing:
                if connection is None or connection.closed:
                    connection = await self._connect()
                    if connection is None:
                        return
                if not await self._transact(connection, self._queue.popleft()):
                    connection = None
                    continue
                if not self._queue:
                    await self._wait_for_more()
        finally:
            self._transport.open_connections -= 1
            if connection is not None:
                await connection.quit()

    async def _wait_for_more(self) -> None:
        event = asyncio.Event()
        self._idle.add(event)
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._idle.discard(event)

    async def _connect(self) -> Connection | None:
        """A connection to the first host that works; None after the queue was told that there is none."""
        settings = self._transport.settings
        started = time.monotonic()
        try:
            peers = await self._peers()
        except NoRoute as error:
            outcome = Outcome.BOUNCED if error.permanent else Outcome.PENDING
            self._fail_all(error.reply, error.status_code, outcome, dns=True)
            return None
        text, code, last = "", 0, peers[0]
        for peer in peers:
            last = peer
            connection = Connection(peer, self._transport.hostname, settings.reply_timeout_seconds)
            try:
                await self._open(connection, settings.connect_timeout_seconds)
            except ConnectionFailed as error:
                text, code = error.text, error.code
                continue
            self._proved, self._rest_seconds = True, 0.0
            return connection
        if not self._tasks - {asyncio.current_task()}:
            self._rest(settings.dead_host_seconds, text)
            attempt = AttemptRecord(
                datetime.now(UTC), (), last.name, last.ip, "", code, text[:LONGEST_RESULT], time.monotonic() - started
            )
            self._fail_all(text, "4.4.1", host=last.name, attempt=attempt)
        return None

    async def _open(self, connection: Connection, seconds: float) -> None:
        """Open `connection`; where TLS is only an offer and fails, do without it once and remember."""
        peer = connection.peer
        try:
            await connection.open(seconds, allow_tls=peer.ip not in self._clear_text_only)
        except TLSFailed:
            if peer.tls is not TLSPolicy.OPPORTUNISTIC:
                raise
            self._clear_text_only.add(peer.ip)
            await connection.open(seconds, allow_tls=False)

    def _rest(self, first_seconds: float, reason: str) -> None:
        self._rest_seconds = min(max(first_seconds, self._rest_seconds * 2), LONGEST_REST_SECONDS)
        self._rest_until = time.monotonic() + self._rest_seconds
        self._rest_reason = reason
        self._proved = False

    async def _peers(self) -> list[Peer]:
        settings = self._transport.settings
        if self._lmtp:
            return [_lmtp_peer(settings.lmtp_address)]
        hop = self._transport.routes.route_for(self._domain)
        hosts = await self._transport.exchangers.hosts(hop.host if hop else self._domain, use_mx=hop is None)
        hop = hop or NextHop("", settings.smtp_out_port, TLSPolicy(settings.tls_policy), "", "", "", 0)
        source = hop.source_address or settings.source_address
        return [
            Peer(
                host.name, host.ip, hop.port, hop.tls, username=hop.username, password=hop.password,
                source_address=source if (":" in source) == (":" in host.ip) else "",
            )
            for host in hosts
        ]  # fmt: skip

    async def _transact(self, connection: Connection, transaction: Transaction) -> bool:
        """Send one transaction; whether the connection can be used again."""
        peer = connection.peer
        started, at = time.monotonic(), datetime.now(UTC)

        def attempt(code: int, text: str) -> AttemptRecord:
            addresses = tuple(recipient.address for recipient in transaction.recipients)
            seconds = time.monotonic() - started
            return AttemptRecord(
                at, addresses, peer.name, peer.ip, connection.tls, code, text[:LONGEST_RESULT], seconds
            )

        try:
            refusal = connection.refuses(transaction.entry)
            if refusal is not None:
                transaction.finish([refusal] * len(transaction.recipients), peer.name, None, relayed=False)
                return True
            content = transaction.entry.read()
            replies = await connection.send(transaction.entry, transaction.recipients, content)
        except FileNotFoundError as error:
            transaction.fail(f"the message file is missing: {error.filename}", "4.3.0", Outcome.PENDING)
            return True
        except (OSError, TimeoutError, BrokenReply) as error:
            connection.abort()
            if connection.used > 1 and not connection.body_sent and not transaction.tried_again:
                # A kept connection that the other side had already closed: nothing was said against the message.
                transaction.tried_again = True
                self._queue.appendleft(transaction)
                return False
            text = f"the connection to {peer.name} [{peer.ip}] broke: {error or 'no answer in time'}"
            transaction.fail(text, "4.4.2", Outcome.PENDING, attempt(0, text), host=peer.name)
            return False
        worst = max(replies, key=lambda reply: reply.code)
        transaction.finish(replies, peer.name, attempt(worst.code, worst.text), relayed=connection.takes_dsn)
        if any(reply.code == 421 for reply in replies):
            connection.abort()
            return False
        return True

    def _fail_all(
        self, text: str, status_code: str = "4.3.0", outcome: Outcome = Outcome.PENDING,
        *, host: str = "", dns: bool = False, attempt: AttemptRecord | None = None,
    ) -> None:  # fmt: skip
        """Give everything that is queued the same result; the first one carries the attempt that was made."""
        queued, self._queue = self._queue, deque()
        for transaction in queued:
            if attempt is not None:
                attempt = AttemptRecord(
                    attempt.at, tuple(r.address for r in transaction.recipients), attempt.host, attempt.ip,
                    attempt.tls, attempt.code, attempt.reply, attempt.seconds,
                )  # fmt: skip
            transaction.fail(text, status_code, outcome, attempt, host=host, dns=dns)
            attempt = None

    async def close(self, grace_seconds: float) -> None:
        """Let running transactions end; what is still queued is reported as pending."""
        self._closing = True
        for event in list(self._idle):
            event.set()
        self._fail_all("the server is stopping; delivery goes on when it is back", "4.3.2")
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()


def _lmtp_peer(address: str) -> Peer:
    """The mail store at `host:port` or at a unix socket's path."""
    if address.startswith("/"):
        return Peer("lmtp", "", 0, TLSPolicy.NONE, path=address, lmtp=True)
    host, _, port = address.rpartition(":")
    return Peer(host, host.strip("[]"), int(port or 24), TLSPolicy.NONE, lmtp=True)
