"""One destination: its queue, its connections, and what is known of whether it answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence, Set
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO

from spool.delivery.remote import backoff, host_choice, providers, safeguards
from spool.delivery.remote.body import LARGEST_WHOLE_BYTES, Prefixed
from spool.delivery.remote.capacity import Capacity, NoRoom, Slot
from spool.delivery.remote.client import ConnectionFailed, OutboundConnection, Peer, SourceGone
from spool.delivery.remote.error_texts import in_words
from spool.delivery.remote.mx import NoRoute
from spool.delivery.remote.opening import open_counted
from spool.delivery.remote.safeguards import Guarded
from spool.delivery.remote.tls_policy import verifies, wanted_by
from spool.delivery.remote.transaction import Transaction
from spool.delivery.replies import WAITS_FOR_HOST, BrokenReply, Reply
from spool.delivery.routes import NextHop, split_host
from spool.delivery.shaping import limits
from spool.delivery.shaping.brakes import BRAKING, Both, SiteBrake
from spool.delivery.shaping.limits import Key
from spool.delivery.sources import NONE_HERE, Pair
from spool.delivery.trace_headers import without_fields
from spool.message.envelope import LeasedEntry
from spool.message.tls_wish import TLSWish
from spool.models.entry import Priority
from spool.models.recipient import Outcome
from spool.models.route import TLSPolicy

if TYPE_CHECKING:
    from spool.delivery.remote.transport import Transport

log = logging.getLogger(__name__)

IDLE_SECONDS = 5.0
# A further connection is worth opening when at least this many transactions wait for each there is.
QUEUE_PER_CONNECTION = 2
# A host that greets with it takes no mail at all (RFC 7504); when all of a domain's do, that is final.
TAKES_NO_MAIL = 521
# For how long mail waits for which there was no room, beside that for hosts that do not answer.
NO_ROOM_SECONDS = 60.0
NO_ROOM = "too many hosts do not answer, and its turn has not come"
NO_ROOM_REPLY = f"{WAITS_FOR_HOST}{NO_ROOM}"
# New connections in a row that broke before a single message got an answer: the host is as good as dead.
MOST_BROKEN = 2


class SetBack(Exception):
    """A host that did not greet at once gives way to others, and has its turn among slow ones."""


class Destination:
    """The queue and the connections of one destination.

    It is *proved* once a transaction has had its replies, until it breaks or stalls. Otherwise it opens no further
    connection, and what waits for it is `parked`: it takes no room from mail for others.
    """

    def __init__(
        self,
        transport: Transport,
        key: str,
        domain: str,
        *,
        lmtp: bool,
        next_hop: str = "",
        tls_wish: TLSWish = TLSWish.USUAL,
        pair: Pair | None = None,
    ) -> None:
        self._transport = transport
        self._key = key
        self._domain = domain
        self._lmtp = lmtp
        # What an administrator chose instead of the usual route.
        self._next_hop = next_hop
        # What the senders of all mail in its queue want.
        self._tls_wish = tls_wish
        # From which of our addresses, where that was chosen for its mail.
        self._pair = pair
        self._queue: deque[Transaction] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.Event] = set()
        self._proved = False
        self._parked = 0
        self._broken = 0
        self._moved = 0.0
        self._rest: backoff.Rest | None = None
        # What its limits are kept by, once it is known where mail goes.
        self._paced_as: Key | None = None
        # From which of our addresses its hosts are reached, where that is one for IPv4 and one for IPv6.
        self._reached_from: tuple[Key, ...] = ()
        # Limits by rules for its domain. With other rules it is another destination (Transport).
        self._of_domain = None if lmtp or next_hop else transport.brakes.of_domain(domain)
        # Whether a connection ended for its age, or for what it has carried.
        self._is_worn = False
        self._closing = False

    def put(self, transaction: Transaction) -> None:
        """Queue a transaction, or put it off while the destination rests."""
        if self._rest is not None and self._rest.running and not _is_urgent(transaction):
            self._put_off(transaction, self._rest)
            return
        brake = self._brake()
        if brake is not None and brake.puts_off(len(self._queue)) and not _is_urgent(transaction):
            self._hold(transaction, brake)
            return
        self._queue.append(transaction)
        if not self._proved:
            self._park(1)
        if self._idle:
            self._idle.pop().set()
        elif not self._tasks:
            self._open_another()
        elif self._proved and len(self._queue) > QUEUE_PER_CONNECTION * len(self._tasks):
            self._grow()

    def _grow(self) -> None:
        """Open as many connections as the queue is worth and the limits allow."""
        limit = self._limit()
        if self._of_domain is not None and self._of_domain.ruled.connections is not None:
            limit = min(limit, -(-self._of_domain.ruled.connections // self._transport.brakes.share))
        while (
            len(self._queue) > QUEUE_PER_CONNECTION * len(self._tasks)
            and len(self._tasks) < limit
            and self._capacity.has_room
        ):
            self._open_another(is_further=True)

    def _open_another(self, *, is_further: bool = False) -> None:
        """Open a connection, when there is something to send; a further one only if there is room for it now."""
        if not self._queue or self._closing:
            return
        task = asyncio.ensure_future(self._serve(is_further))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def park_if_stalled(self, since: float) -> None:
        """Park what waits when nothing has moved since that moment of the monotonic clock."""
        if self._moved < since:
            self._doubt()

    @property
    def forgettable(self) -> bool:
        """Whether nothing would be lost with it."""
        return not self._tasks and not self._queue

    @property
    def _capacity(self) -> Capacity:
        return self._transport.to_store if self._lmtp else self._transport.remote

    def _limit(self, peer: Peer | None = None) -> int:
        """Connections to its hosts, whosever mail they are for."""
        hop = None if self._lmtp else self._hop()
        of_hop = hop.max_connections if hop else 0
        transport = self._transport
        # The workers of one machine keep to what settings and routes say, of all machines to the rest.
        limit = -(-(of_hop or transport.settings.max_per_destination) // transport.workers)
        brake = transport.brakes.limiting(self._paced_as if peer is None else self._key_of(peer))
        if brake is None:
            return limit
        if not of_hop and brake.ruled.connections is not None:
            limit = -(-brake.ruled.connections // transport.brakes.share)
        return limit if brake.connections is None else min(limit, -(-brake.connections // transport.brakes.share))

    def _brake(self) -> SiteBrake | Both | None:
        """The limits of its domain and of where its mail goes, if there are any."""
        site = self._transport.brakes.limiting(self._paced_as)
        if site is not None and self._reached_from and site.suspended_until is not None:
            site = self._of_other_kind(site)
        if self._of_domain is None or not self._of_domain.is_on:
            return site
        return Both(self._of_domain, site)

    def _of_other_kind(self, suspended: SiteBrake) -> SiteBrake | None:
        """The limits from our address of the other kind, by which mail goes on; if that is refused, too, these."""
        for key in self._reached_from:
            if self._transport.brakes.suspended(key.site, key.source) is None:
                self._paced_as = key
                return self._transport.brakes.limiting(key)
        return suspended

    def _is_refused(self, peer: Peer) -> bool:
        """Whether the receiver wants nothing from that address of ours, and something from another."""
        if not self._reached_from or any(map(_is_urgent, self._queue)):
            return False
        suspended = self._transport.brakes.suspended
        return suspended(peer.site, peer.source_address) is not None and not all(
            suspended(key.site, key.source) for key in self._reached_from
        )

    def _key_of(self, peer: Peer) -> Key | None:
        """What limits are kept by where a connection leads."""
        known = self._paced_as
        if known is None or known.source == peer.source_address:
            return known
        return limits.key_of(peer.site, peer.source_address)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: a connection's task failed", self._domain, exc_info=error)
            self._fail_all(f"delivery failed: {error!r}", "4.3.0")
        elif self._queue and not self._tasks and not self._closing:
            # It came between the last look at the queue and the end of the task, or it is others' turn.
            self._open_another()
        elif self._is_worn and self._proved and not self._closing:
            # A connection may carry no more than so many messages: another one takes its place.
            self._is_worn = False
            self._grow()

    async def _serve(self, is_further: bool) -> None:
        """One connection's life: open it, work off the queue, wait a little for more, say goodbye."""
        slot: Slot | None = None
        has_turn = False
        try:
            while not self._closing:
                if not self._queue:
                    if slot is None or not await self._more_comes(slot):
                        return
                    if slot.holder is not asyncio.current_task():
                        # It serves another destination now.
                        slot = None
                elif not has_turn:
                    has_turn = await self._turn(slot)
                    if not has_turn:
                        return
                elif slot is None:
                    slot = await self._connect(is_further)
                    if slot is None:
                        return
                elif slot.connection is None or slot.connection.closed or self._is_refused(slot.connection.peer):
                    if slot.connection is not None:
                        slot.connection.abort()
                    self._capacity.release(slot)
                    slot = None
                else:
                    has_turn = False
                    transaction = self._queue.popleft()
                    if self._pair is not None and not self._may_leave(transaction):
                        continue
                    if not await self._transact(slot, slot.connection, transaction):
                        slot.connection = None
                    elif slot.connection.is_old:
                        self._is_worn = True
                        return
                    elif self._capacity.is_wanted(slot) and (len(self._tasks) > 1 or slot.has_had_turn):
                        return
        except BaseException:
            # Nobody knows what was said over it last.
            if slot is not None and slot.holder is asyncio.current_task() and slot.connection is not None:
                slot.connection.abort()
            raise
        finally:
            if slot is not None and slot.holder is asyncio.current_task():
                await self._done_with(slot)

    async def _done_with(self, slot: Slot) -> None:
        """Give its connection to another destination, or say goodbye and give up its room."""
        if self._capacity.hand_over(slot):
            return
        try:
            if slot.connection is not None:
                await slot.connection.quit()
        finally:
            self._capacity.release(slot)

    async def _turn(self, slot: Slot | None) -> bool:
        """Wait for a turn to send, where mail goes at a pace. When there is none soon, what waits is put off."""
        brake = self._brake()
        if brake is None or any(map(_is_urgent, self._queue)):
            return True
        if brake.suspended_until is None:
            if slot is not None:
                slot.moved = time.monotonic()
            if await brake.turn(len(self._queue)):
                if slot is not None:
                    slot.moved = time.monotonic()
                return True
        if not self._has_others():
            self._hold_all(brake)
        return False

    def _hold(self, transaction: Transaction, brake: SiteBrake | Both, position: int | None = None) -> None:
        """Have it wait for its turn: this is no attempt. `position` is where it was in the queue."""
        if brake.suspended_until is not None and self._goes_elsewhere(transaction):
            return
        self._name_site(transaction)
        transaction.put_off(brake.due(transaction.recipients[0].domain, position), brake.reason, "4.4.5")

    def _goes_elsewhere(self, transaction: Transaction) -> bool:
        """Have it leave from another address of ours, if there is one that the receiver takes mail from."""
        return self._pair is not None and self._transport.put_elsewhere(transaction, self)

    def _move(self) -> None:
        """Have all that is queued leave from other addresses, as far as there are others."""
        if self._pair is not None:
            stay = [one for one in self._taken_out() if not self._transport.put_elsewhere(one, self)]
            self._queue.extend(stay)

    def _name_site(self, transaction: Transaction) -> None:
        """Say where it goes to: its schedule may follow from that."""
        if self._paced_as is not None:
            transaction.site = self._paced_as.site

    def _hold_all(self, brake: SiteBrake | Both) -> None:
        for position, transaction in enumerate(self._taken_out()):
            self._hold(transaction, brake, position)

    async def _more_comes(self, slot: Slot) -> bool:
        """Wait a little, unless others need the connection more; whether there is something to send."""
        if (brake := self._brake()) is not None:
            brake.pull()
        if slot.connection is None or self._capacity.is_wanted(slot):
            return False
        event = asyncio.Event()
        self._idle.add(event)
        try:
            await self._capacity.idle(slot, event, IDLE_SECONDS)
        finally:
            self._idle.discard(event)
        return bool(self._queue)

    async def _connect(self, is_further: bool) -> Slot | None:
        """A connection to the first host that works; None when there is none.

        Then the queue has been told, or it is left to another connection that is still there.
        """
        started = time.monotonic()
        try:
            peers = await self._peers()
        except NoRoute as error:
            if not self._has_others():
                outcome = Outcome.BOUNCED if error.permanent else Outcome.PENDING
                self._fail_all(error.reply, error.status_code, outcome, dns=True, started=started)
            return None
        if self._pair is not None and not self._stays(peers):
            return None
        if not self._lmtp:
            keys = dict.fromkeys(limits.key_of(peer.site, peer.source_address) for peer in peers)
            self._reached_from = tuple(keys) if len(keys) > 1 else ()
            peers = [peer for peer in peers if not self._is_refused(peer)]
            knew, self._paced_as = self._paced_as, limits.key_of(peers[0].site, peers[0].source_address)
            if not self._next_hop:
                # Where several of our addresses take turns, it is all of theirs.
                served = self._paced_as if self._pair is None else limits.key_of(peers[0].site, "")
                self._transport.brakes.serves(served, self._domain)
            if knew != self._paced_as and not await self._turn(None):
                return None
            brake = self._brake()
            if brake is not None and brake.suspended_until is not None and not any(map(_is_urgent, self._queue)):
                if not self._has_others():
                    self._hold_all(brake)
                return None
        failed: list[tuple[Peer, ConnectionFailed]] = []
        resting: list[backoff.Rest] = []
        to_try = deque(peers)
        while to_try:
            peer = to_try.popleft()
            slot = await self._slot_for(peer, _as_good(peer, peers), is_further)
            if isinstance(slot, backoff.Rest):
                resting.append(slot)
            elif slot is None or not self._queue or self._closing:
                # Others have what there was to do; or there is no room for a further one.
                if slot is not None:
                    await self._done_with(slot)
                return None
            elif slot.connection is not None:
                return slot
            else:
                try:
                    await self._open(slot, peer, started)
                except SetBack:
                    to_try.append(peer)
                except ConnectionFailed as error:
                    if isinstance(error, SourceGone) and self._pair is not None:
                        self._transport.local.gone(peer.source_address)
                        self._lost_source()
                        return None
                    failed.append((peer, error))
                    if error.reply is not None and self._heard(slot, peer, [error.reply], at_once=True):
                        # It answers, and wants less of us: nothing to be learned from its other hosts.
                        self._nobody_takes_more(failed[-1], started)
                        return None
                    # Before others who wait for a connection to it get this one's room.
                    if not _is_final(error) and (slot.address.open == 1 or not self._has_others()):
                        resting.append(self._begin_rest(peer, error.text, is_used=slot.address.open > 1))
                finally:
                    if slot.connection is None:
                        self._capacity.release(slot)
                if slot.connection is not None:
                    return slot
        if not self._has_others():
            self._nobody_answers(failed, resting, started)
        return None

    def _may_leave(self, transaction: Transaction) -> bool:
        """Whether its address has not sent as much as its warm-up allows; else it leaves from another one, or waits."""
        brake = self._transport.brakes.limiting(self._paced_as)
        if brake is None or not brake.is_new or _is_urgent(transaction):
            return True
        if brake.takes():
            return True
        self._hold(transaction, brake)
        return False

    def _stays(self, peers: Sequence[Peer]) -> bool:
        """Whether what is queued still is to leave from here, now that it is known where it goes; else it is elsewhere,
        or waits for an address.
        """
        sites = self._transport.sites
        if peers and not self._next_hop and sites.get(self._domain) != peers[0].site:
            sites.keep(self._domain, peers[0].site)
            self._move()
        if not peers:
            self._lost_source()
        return bool(self._queue)

    def _lost_source(self) -> None:
        """Its address is not on this machine: others take over, or what is queued waits for one. This is no attempt."""
        self._move()
        until = datetime.now(UTC) + timedelta(seconds=NO_ROOM_SECONDS)
        for transaction in self._taken_out():
            transaction.put_off(until, NONE_HERE, "4.3.2")

    async def _slot_for(self, peer: Peer, as_good: Set[Peer], is_further: bool) -> Slot | backoff.Rest | None:
        """Room for a connection to `peer`, or an open one to a host that is as good; its rest when it rests, unless
        somebody has a wish to see a try now.
        """
        while True:
            rest = backoff.of(peer.rests_as)
            if rest is not None and rest.running and not any(map(_is_urgent, self._queue)):
                return rest
            slot = self._capacity.take_over(as_good)
            if slot is None and is_further:
                slot = self._capacity.slot_now(peer.address, peer.receiver, self._limit(peer))
            elif slot is None:
                limit, is_slow = self._limit(peer), rest is not None
                given = await self._capacity.slot(peer.address, peer.receiver, limit, as_good, is_slow=is_slow)
                if isinstance(given, NoRoom):
                    self._transport.turned_away(NO_ROOM_SECONDS, NO_ROOM_REPLY)
                    return backoff.Rest(time.monotonic() + NO_ROOM_SECONDS, NO_ROOM_SECONDS, NO_ROOM)
                slot = given
            if slot is not None:
                slot.holder = asyncio.current_task()
            if slot is not None or is_further or self._capacity.is_closing:
                return slot

    def _nobody_takes_more(self, failure: tuple[Peer, ConnectionFailed], started: float) -> None:
        """The site refuses a further connection, or any. What is queued is left to those there are, or waits."""
        brake = self._brake()
        if brake is not None and brake.suspended_until is not None:
            self._move()
        if self._has_others() or not self._queue:
            return
        peer, error = failure
        self._fail_first(error.text, "4.4.1", peer=peer, code=error.code, started=started)
        if brake is not None:
            self._hold_all(brake)

    def _nobody_answers(
        self, failed: Sequence[tuple[Peer, ConnectionFailed]], resting: Sequence[backoff.Rest], started: float
    ) -> None:
        """No host could be connected to. What is queued is told so, and waits until the first of them was at rest."""
        if resting:
            self._rest = min(resting, key=lambda rest: rest.until)
        if not failed:
            assert self._rest is not None
            self._put_off_all(self._rest)
            return
        last, error = failed[-1]
        if resting:
            self._note_waiting(resting, error.text)
            self._fail_first(error.text, "4.4.1", peer=last, code=error.code, started=started)
            assert self._rest is not None
            self._put_off_all(self._rest)
        else:
            status_code = error.status_code or "5.3.2"
            self._fail_all(error.text, status_code, Outcome.BOUNCED, peer=last, code=error.code, started=started)

    def _put_off(self, transaction: Transaction, rest: backoff.Rest) -> None:
        """Have it wait for its host: this is no attempt."""
        rest.note(transaction.recipients[0].domain, rest.reply)
        self._name_site(transaction)
        transaction.put_off(rest.ends, rest.reply)

    def _taken_out(self) -> deque[Transaction]:
        """All that was queued; the queue is empty then."""
        queued, self._queue = self._queue, deque()
        self._unpark()
        return queued

    def _put_off_all(self, rest: backoff.Rest) -> None:
        for transaction in self._taken_out():
            self._put_off(transaction, rest)

    def _note_waiting(self, rests: Sequence[backoff.Rest], text: str) -> None:
        """All that is queued waits for these hosts, after it was told so."""
        for domain in {transaction.recipients[0].domain for transaction in self._queue}:
            for rest in rests:
                rest.note(domain, text)

    def _has_others(self) -> bool:
        return bool(self._tasks - {asyncio.current_task()})

    async def _open(self, slot: Slot, peer: Peer, started: float) -> None:
        """Open the connection of `slot`. Raises ConnectionFailed or SetBack."""
        settings = self._transport.settings
        own_name = self._transport.sources.ehlo_of(peer.source_address) or self._transport.hostname
        slot.dialed = connection = OutboundConnection(peer, own_name, settings.reply_timeout_seconds)
        slot.moved = time.monotonic()
        try:
            async with asyncio.timeout(None) as slot.opening:
                await open_counted(connection, self._domain, settings.connect_timeout_seconds, self._transport)
        except TimeoutError:
            if slot.is_set_back:
                raise SetBack from None
            raise ConnectionFailed(f"{peer.name} [{peer.ip}]: {_given_up(slot)}") from None
        finally:
            slot.opening = slot.dialed = None
        connection.connect_seconds = time.monotonic() - started
        slot.connection = connection
        slot.is_set_back = False
        if self._paced_as is not None:
            key = self._key_of(peer) or self._paced_as
            self._transport.brakes.connected(key, self._domain, peer.name, connection.tls)

    async def _peers(self) -> list[Peer]:
        settings = self._transport.settings
        if self._lmtp:
            return [_lmtp_peer(settings.lmtp_address)]
        exchangers, rules = self._transport.exchangers, self._transport.rules
        hop = self._hop()
        if hop is not None:
            hosts = await exchangers.hosts(hop.host, use_mx=False)
            site = f"{hop.host}:{hop.port}"
            chosen = rules.of_mail(self._domain, site)
            if self._tls_wish is TLSWish.REQUIRED and not verifies(hop.tls):
                raise safeguards.route_not_proved(hop.host)
            guarded = [Guarded(host, hop.tls) for host in hosts]
        else:
            hop = NextHop("", settings.smtp_out_port, TLSPolicy(settings.tls_policy), "", "", "", 0)
            hosts = await exchangers.hosts(self._domain)
            site = limits.key_of(providers.site_of(exchangers.names(self._domain, hosts)), "").site
            hosts = host_choice.usable(hosts, self._domain, hop.port, private=settings.private_hosts)
            chosen = rules.of_mail(self._domain, site)
            wanted = wanted_by(settings, chosen.value(lambda rule: rule.tls))
            told = self._transport.sessions.told
            guarded = await safeguards.guarded(hosts, self._domain, wanted, exchangers, self._tls_wish, told)
        sources = (hop.source_address,) if hop.source_address else chosen.value(lambda rule: rule.sources)
        sources = sources or (settings.source_address,)
        if self._pair is not None:
            # One that has no address to be reached from is left out.
            guarded = [one for one in guarded if self._pair.for_host(one.host.ip) != ""]
            sources = tuple(filter(None, (self._pair.ipv4, self._pair.ipv6)))
        most = chosen.value(lambda rule: rule.messages) or 0
        return [
            Peer(
                one.host.name,
                one.host.ip,
                hop.port,
                one.tls,
                username=hop.username,
                password=hop.password,
                source_address=(source := _source_for(one.host.ip, sources)),
                site=site,
                tlsa=one.tlsa,
                by_mta_sts=one.by_mta_sts,
                preference=one.host.preference,
                requires_tls=self._tls_wish is TLSWish.REQUIRED,
                asked=one.asked,
                most_messages=_fewer(most, self._transport.brakes.messages(limits.key_of(site, source))),
            )
            for one in guarded
        ]

    def _hop(self) -> NextHop | None:
        """Where mail goes instead of the hosts that the DNS names, if anywhere."""
        if not self._next_hop:
            return self._transport.routes.route_for(self._domain)
        settings = self._transport.settings
        host, port = split_host(self._next_hop, settings.smtp_out_port)
        return NextHop(host, port, TLSPolicy(settings.tls_policy), "", "", "", 0)

    async def _transact(self, slot: Slot, connection: OutboundConnection, transaction: Transaction) -> bool:
        """Send one transaction, if it is still ours to send; whether the connection can be used again."""
        if not transaction.entry.is_held:
            transaction.leave()
            return True
        started = self._moved = slot.moved = time.monotonic()
        slot.served += 1
        peer, entry, recipients = connection.peer, transaction.entry, transaction.next_recipients
        transaction.site = peer.site
        # It counts for the first transaction, for which it was made.
        connecting, connection.connect_seconds = connection.connect_seconds, 0.0
        with ExitStack() as files:
            try:
                refusal = connection.refuses(entry, recipients)
                if refusal is not None:
                    transaction.note(refusal.text, 0, peer, connection.tls, started, connecting)
                    if not transaction.answer([refusal] * len(recipients), peer.name, relayed=False):
                        self._queue.appendleft(transaction)
                    return True
                content: bytes | BinaryIO | Prefixed
                # Those of one transaction are all treated alike.
                header, own = entry.treatment_of(recipients[0]).header, entry.own_fields_of(recipients[0])
                if entry.size_bytes <= LARGEST_WHOLE_BYTES:
                    content = entry.read()
                    if entry.omitted:
                        content = without_fields(content, entry.omitted)
                    if own:
                        content = own + content
                    header = await self._signature(entry, content, own) + header
                    if header:
                        content = header + content
                else:
                    header = await self._signature(entry, None, own) + header + own
                    content = files.enter_context(entry.open())
                    if entry.omitted:
                        header += without_fields(content.read(LARGEST_WHOLE_BYTES), entry.omitted)
                    if header:
                        content = Prefixed(header, content)
                replies = await connection.send(entry, recipients, content)
            except FileNotFoundError as error:
                transaction.fail(f"the message file is missing: {error.filename}", "4.3.0", started=started)
                return True
            except (OSError, TimeoutError, BrokenReply) as error:
                self._broke(slot, connection, transaction, error, started, connecting)
                return False
            except Exception as error:  # the edge of a transaction: it must not stop the others
                log.exception("%s could not be sent to %s", entry.file_name, peer.name)
                connection.abort()
                transaction.fail(
                    f"delivery failed: {error!r}",
                    "4.3.0",
                    peer=peer,
                    started=started,
                    connect_seconds=connecting,
                    connected=True,
                )
                return False
        if slot.is_aside:
            self._capacity.count_again(slot)
        worst = max(replies, key=lambda reply: reply.code) if len(replies) > 1 else replies[0]
        is_braked = self._heard(slot, peer, replies, transaction) if self._paced_as is not None else False
        if worst.code >= 421 and any(reply.code == 421 for reply in replies):
            self._closed_by_host(slot, connection, transaction, replies, started, connecting, is_braked=is_braked)
            return False
        transaction.note(worst.text, worst.code, peer, connection.tls, started, connecting)
        if not transaction.answer(replies, peer.name, relayed=connection.takes_dsn):
            self._queue.appendleft(transaction)
        if connection.used == 1:
            self._came_back(peer.rests_as)
        if not (self._proved and slot.address.is_proved):
            self._prove(slot)
        return True

    async def _signature(self, entry: LeasedEntry, content: bytes | None, own: bytes) -> bytes:
        """What we answer for a message with; a mail store of our own needs none. Raises OSError."""
        if self._lmtp:
            return b""
        if own:
            return await self._transport.keys.signature(entry, content, own)
        if entry.signature is None:
            entry.signature = await self._transport.keys.signature(entry, content)
        return entry.signature

    def _closed_by_host(
        self,
        slot: Slot,
        connection: OutboundConnection,
        transaction: Transaction,
        replies: list[Reply],
        started: float,
        connecting: float,
        *,
        is_braked: bool,
    ) -> None:
        """Some reply was 421: the host closes the connection (RFC 5321 3.8). `is_braked`: for it wants less of us."""
        connection.abort()
        if self._was_stale(connection, transaction) or self._narrowed(connection, transaction, started, connecting):
            return
        worst = max(replies, key=lambda reply: reply.code)
        transaction.note(worst.text, worst.code, connection.peer, connection.tls, started, connecting)
        if not transaction.answer(replies, connection.peer.name, relayed=connection.takes_dsn):
            self._queue.appendleft(transaction)
        if not is_braked:
            self._count_broken(slot, connection, next(reply.text for reply in replies if reply.code == 421))

    def _heard(
        self,
        slot: Slot,
        peer: Peer,
        replies: Sequence[Reply],
        transaction: Transaction | None = None,
        *,
        at_once: bool = False,
    ) -> bool:
        """Take note of what a site answers; whether it wants less of us."""
        key = self._key_of(peer)
        if key is None:
            return False
        brake = self._transport.brakes.of(key)
        if any(reply.code < 400 for reply in replies):
            brake.took(is_full=slot.site.waiting > 0 and not slot.site.has_room)
        domain = transaction.recipients[0].domain if transaction is not None else self._domain
        carried = slot.connection.used - 1 if slot.connection is not None and not at_once else 0
        is_braked = False
        for reply in replies:
            if reply.code >= 400 and not reply.ours:
                about = brake.refused(reply, domain, peer.ip, slot.site.open, at_once=at_once, carried=carried)
                is_braked = is_braked or about in BRAKING
        # Where nothing is in force, it is a host that does not work.
        return is_braked and brake.is_on

    def _broke(
        self,
        slot: Slot,
        connection: OutboundConnection,
        transaction: Transaction,
        error: BaseException,
        started: float,
        connecting: float,
    ) -> None:
        peer = connection.peer
        connection.abort()
        if not slot.is_given_up and (
            self._was_stale(connection, transaction) or self._narrowed(connection, transaction, started, connecting)
        ):
            return
        reason = _given_up(slot) if slot.is_given_up else in_words(error)
        text = f"the connection to {peer.name} [{peer.ip}] broke: {reason}"
        transaction.fail(
            text, "4.4.2", peer=peer, tls=connection.tls, started=started, connect_seconds=connecting, connected=True
        )
        self._count_broken(slot, connection, text)

    def _was_stale(self, connection: OutboundConnection, transaction: Transaction) -> bool:
        """Put a transaction back, once, when a kept connection was closed before it: nothing was said against it."""
        if connection.used < 2 or connection.body_sent or transaction.tried_again:
            return False
        transaction.tried_again = True
        self._queue.appendleft(transaction)
        return True

    def _narrowed(
        self, connection: OutboundConnection, transaction: Transaction, started: float, connecting: float
    ) -> bool:
        """Put a transaction back for fewer recipients at once, when the host hung up after it took some."""
        taken = connection.taken
        if connection.body_sent or not transaction.narrow(taken):
            return False
        peer = connection.peer
        text = f"{peer.name} [{peer.ip}] hung up after it took {taken} recipients: the message goes to fewer at a time"
        transaction.note(text, 0, peer, connection.tls, started, connecting)
        self._queue.appendleft(transaction)
        return True

    def _prove(self, slot: Slot) -> None:
        """A transaction had its replies: the host is alive, and worth more connections."""
        self._capacity.prove(slot.address)
        self._proved = True
        self._broken = 0
        self._unpark()
        if self._rest is not None:
            self._rest = None
            self._came_back(self._key)
        self._grow()

    def _came_back(self, key: str) -> None:
        """It answers: what waits for it need not wait for its next attempt."""
        rest = backoff.end(key)
        if rest is not None:
            self._transport.came_back(rest)

    def _count_broken(self, slot: Slot, connection: OutboundConnection, text: str) -> None:
        """A connection broke. When new ones do so again and again, let the host rest."""
        self._doubt()
        self._capacity.doubt(slot.address)
        if connection.used > 1:
            return
        self._broken += 1
        if self._broken >= MOST_BROKEN or slot.is_given_up:
            self._rest = self._begin_rest(connection.peer, text, is_used=slot.address.open > 1)
            # What broke has been told; what is behind it was not tried.
            self._put_off_all(self._rest)

    def _doubt(self) -> None:
        """Take it for unproved until the next transaction has had its replies."""
        if self._proved:
            self._proved = False
            self._park(len(self._queue))

    def _begin_rest(self, peer: Peer, reason: str, *, is_used: bool) -> backoff.Rest:
        """Let a host rest; or this destination alone, when the host has other connections (`is_used`).

        Who waits for a connection to the host learns of its rest at once.
        """
        self._proved = False
        self._broken = 0
        seconds = self._transport.settings.dead_host_seconds
        if is_used:
            # It serves others: what it has said is about this connection, or about what goes over it.
            return backoff.begin(self._key, seconds, reason, alone=True)
        rest = backoff.begin(peer.rests_as, seconds, reason)
        self._capacity.turn_away(peer.address)
        return rest

    def _park(self, count: int) -> None:
        self._parked += count
        self._transport.parked += count

    def _unpark(self) -> None:
        self._transport.parked -= self._parked
        self._parked = 0

    def _fail_all(
        self,
        text: str,
        status_code: str,
        outcome: Outcome = Outcome.PENDING,
        *,
        peer: Peer | None = None,
        code: int = 0,
        dns: bool = False,
        started: float | None = None,
    ) -> None:
        """Give everything that is queued the same result."""
        for transaction in self._taken_out():
            transaction.fail(text, status_code, outcome, peer=peer, code=code, dns=dns, started=started)

    def _fail_first(self, text: str, status_code: str, *, peer: Peer, code: int, started: float) -> None:
        """Give a result to the transaction that a connection was for, and to those that are to be tried whatever is
        known of the host.
        """
        for number, transaction in enumerate(self._taken_out()):
            if number == 0 or _is_urgent(transaction):
                transaction.fail(text, status_code, peer=peer, code=code, started=started)
            else:
                self._queue.append(transaction)

    async def close(self, grace_seconds: float) -> None:
        """Let running transactions end; what is queued stays without an answer, and so does what does not end."""
        self._closing = True
        self._queue.clear()
        self._unpark()
        for event in list(self._idle):
            event.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()


def _is_urgent(transaction: Transaction) -> bool:
    """Force is a wish to see a try now: high priority does not rest, and costs a dead host one connection at a time."""
    return transaction.entry.priority >= Priority.HIGH


def _source_for(ip: str, sources: Sequence[str]) -> str:
    """The first of our addresses that is of a host's kind; empty where the system chooses."""
    return next((source for source in sources if (":" in source) == (":" in ip)), "")


def _fewer(one: int, other: int) -> int:
    """The lower of two limits, of which 0 is none."""
    return min(one or other, other or one)


def _as_good(peer: Peer, peers: Sequence[Peer]) -> Set[Peer]:
    """Those of the same preference."""
    return frozenset(other for other in peers if other.preference == peer.preference)


def _is_final(error: ConnectionFailed) -> bool:
    """Whether the host works, and will never take the mail: it need not rest."""
    return error.code == TAKES_NO_MAIL or bool(error.status_code)


def _given_up(slot: Slot) -> str:
    return f"no answer in time ({time.monotonic() - slot.moved:.0f} s), and other mail waits"


def _lmtp_peer(address: str) -> Peer:
    """The mail store at `host:port` or at a unix socket's path."""
    if address.startswith("/"):
        return Peer("lmtp", "", 0, TLSPolicy.NONE, path=address, lmtp=True)
    host, _, port = address.rpartition(":")
    return Peer(host, host.strip("[]"), int(port or 24), TLSPolicy.NONE, lmtp=True)
