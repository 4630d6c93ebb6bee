"""Room for connections: how many are open at once, in all and to each address, and which give way when it is full.

Counted is by the address that a connection leads to (IPv6 by /64, which one customer has): whoever owns a domain has
as many names as he likes; and by site, for one receiver has many addresses; of both from each address of ours, as
receivers count them. An address has one connection until it has answered a transaction. Some room is kept for those
that have; and when mail waits for room, those that have been silent for SILENT_SECONDS have no more than their share
of it: the ones that were silent for longest are given up, unless a message may have reached them already. Those are
set aside, ASIDE_SHARES times as many as there may be connections; only when there is no room for that either, hosts
that have never answered are given up after a minute of silence.

Of hosts of which nothing is known the last and the first have turns alike, so that a backlog of them is not before
everybody else. While others of them wait, one that does not greet within PROBE_SECONDS is set back: that is no failure,
but from then on it is *slow*, and so is one from the beginning that did not answer when it was last tried. The slow
have what room the others leave them, and every third turn until they have as much as the silent may.

An open connection without work goes on for whoever wants one to the same host on the same terms: thousands of domains
have their mail with one receiver.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import deque
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, count, islice
from typing import Final

from spool.delivery.remote.client import OutboundConnection, Peer

# A host that has said nothing for so long is silent. Most answer within one second, and slow ones within a few.
SILENT_SECONDS: Final = 5.0
# A host of which nothing is known may take so long to greet while others of the kind wait.
PROBE_SECONDS: Final = 1.5
REVIEW_SECONDS: Final = 0.5
# Silent hosts have at most this part of the room while others wait for it,
SILENT_SHARE: Final = 4
# and hosts that have answered have at least this part, whoever else wants some.
RESERVED_SHARE: Final = 4
# Hosts that are silent after a message, which can't be given up, have so many times the room besides,
ASIDE_SHARES: Final = 4
# and this long when others of the kind wait for it. Of them it may be sent again what has arrived.
ASIDE_SECONDS: Final = 60.0
# So many transactions a connection has while others wait for one: then it is their turn.
TURN: Final = 100
# From so many addresses on, those that are not in use are forgotten.
MANY_ADDRESSES: Final = 5000


class Lane(Enum):
    """What is known of a host: that it answers, nothing, or that it takes its time."""

    PROVED = "proved"
    NEW = "new"
    SLOW = "slow"


@dataclass(slots=True, eq=False)
class Address:
    """What is known of one: connections that are open, whether it answers, and who waits for a connection to it."""

    name: str
    most: int = 1
    open: int = 0
    aside: int = 0
    lane: Lane = Lane.NEW
    waiting: deque[Waiter] = field(default_factory=deque)

    @property
    def is_proved(self) -> bool:
        return self.lane is Lane.PROVED

    @property
    def has_room(self) -> bool:
        return self.open < (self.most if self.is_proved else 1)


@dataclass(slots=True, eq=False)
class Site:
    """Hosts that are one (spool.delivery.remote.providers): the connections that are open to all of them, and the
    addresses for which the first who waits does so for this limit."""

    name: str
    most: int = 1
    open: int = 0
    waiting: int = 0
    blocked: dict[Address, None] = field(default_factory=dict)

    @property
    def has_room(self) -> bool:
        return self.open < self.most


class NoRoom:
    """There is none in sight: what waits had better wait in the spool."""


@dataclass(slots=True, eq=False)
class Waiter:
    """Somebody who waits for a connection to an address; an open one to any of `peers` is as good."""

    address: Address
    site: Site
    peers: Set[Peer]
    since: float
    future: asyncio.Future[Slot | NoRoom | None]


@dataclass(slots=True, eq=False)
class Slot:
    """Room for one connection. `moved` is when its host last had something to answer, of the monotonic clock."""

    address: Address
    site: Site
    moved: float
    connection: OutboundConnection | None = None
    # Whose it is: it may be somebody else's after a wait.
    holder: asyncio.Task[None] | None = None
    # While it is being opened: by when it has to be, and what is opened.
    opening: asyncio.Timeout | None = None
    dialed: OutboundConnection | None = None
    # Transactions since it was made.
    served: int = 0
    is_given_up: bool = False
    # Whether it is to be tried again when it is the turn of slow hosts.
    is_set_back: bool = False
    # Whether it takes no room from others: it was silent for long after a message.
    is_aside: bool = False

    @property
    def has_had_turn(self) -> bool:
        """Whether it has served so many that others are next, if any wait."""
        return self.served >= TURN

    @property
    def awaits_answer(self) -> bool:
        """Whether a message was sent over it of which only the host knows whether it has it."""
        return self.connection is not None and self.connection.body_sent and not self.is_given_up

    @property
    def awaits_greeting(self) -> bool:
        """Whether its host has not said a word."""
        is_dialing = self.connection is None and self.opening is not None
        return is_dialing and self.dialed is not None and not self.dialed.has_greeted and not self.is_ending

    @property
    def is_ending(self) -> bool:
        return self.is_given_up or self.is_set_back

    @property
    def may_give_way(self) -> bool:
        """Whether nothing is lost but time: after the message was sent, only the host knows whether it has it."""
        if self.is_ending:
            return False
        return self.opening is not None if self.connection is None else not self.connection.body_sent

    def give_up(self) -> None:
        self.is_given_up = True
        if self.connection is not None:
            self.connection.abort()
        elif self.opening is not None:
            self.opening.reschedule(0.0)

    def set_back(self) -> None:
        """End it while it is being opened: its host has its turn among slow ones."""
        self.is_set_back = True
        if self.opening is not None:
            self.opening.reschedule(0.0)


class Capacity:
    """The connections of one worker, of one kind: to hosts elsewhere, or to the mail store. Loop thread only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limit = 1
        self._addresses: dict[str, Address] = {}
        self._sites: dict[str, Site] = {}
        self._tidy_at = self._tidy_sites_at = MANY_ADDRESSES
        self._slots: dict[Slot, None] = {}
        # How many of them take no room, and how many of the others lead to addresses of which is not known whether they
        # answer.
        self._aside = 0
        self._most_aside = 1
        self._unproved = 0
        # How many of those are slow.
        self._slow = 0
        # Connections without work, and the events that wake them, oldest first; and by whom they lead to.
        self._idle: dict[Slot, asyncio.Event] = {}
        self._idle_to: dict[Peer, dict[Slot, None]] = {}
        # Who would have an open connection to a peer, in the order of their coming.
        self._wanted: dict[Peer, dict[Waiter, None]] = {}
        # Addresses for which somebody waits and that may have one more connection, with the number of their turn.
        self._ready: dict[Lane, dict[Address, int]] = {lane: {} for lane in Lane}
        self._turns = count()
        # Whose turn it is of those that have not answered.
        self._turn = 0
        self._review: asyncio.TimerHandle | None = None
        self.is_closing = False

    def configure(self, limit: int) -> None:
        """How many connections there may be from now on."""
        self._limit = limit
        # Of the descriptors that this process may have, most are for other things.
        self._most_aside = max(limit, min(ASIDE_SHARES * limit, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
        self._admit()

    @property
    def has_room(self) -> bool:
        """Whether an address that has answered could have one more."""
        return self._taken < self._limit

    async def slot(
        self, address: str, site: str, most: int, peers: Set[Peer] = frozenset(), *, is_slow: bool = False
    ) -> Slot | NoRoom | None:
        """Room for a connection to `address`, which is one of `site`, as soon as there is some; each may have `most`.

        It may have an open connection, then to any of `peers`. None when what was learned meanwhile of the address is
        to be looked at first. `is_slow`: it did not answer when it was last tried.
        """
        slot = self.slot_now(address, site, most, is_slow=is_slow)
        if slot is not None or self.is_closing:
            return slot
        known = self._addresses[address]
        future: asyncio.Future[Slot | NoRoom | None] = asyncio.get_running_loop().create_future()
        waiter = Waiter(known, self._sites[site], peers, self._clock(), future)
        known.waiting.append(waiter)
        waiter.site.waiting += 1
        for peer in peers:
            self._wanted.setdefault(peer, {})[waiter] = None
        self._make_ready(known)
        self._wake_idle()
        self._set_back_slow()
        self._plan_review()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if not future.cancelled() and future.done():
                if isinstance(given := future.result(), Slot):
                    if given.connection is not None:
                        given.connection.abort()
                    self.release(given)
            elif waiter in known.waiting:
                self._withdraw(waiter)
                self._unblock(waiter.site)
                self._admit()
            raise
        finally:
            waiter.site.waiting -= 1
            for peer in peers:
                wanting = self._wanted[peer]
                del wanting[waiter]
                if not wanting:
                    del self._wanted[peer]

    def slot_now(self, address: str, site: str, most: int, *, is_slow: bool = False) -> Slot | None:
        """The same if there is room now and nobody who waits for it."""
        known = self._addresses.get(address)
        if known is None:
            known = self._new_address(address)
        if is_slow and known.lane is Lane.NEW:
            self._into(known, Lane.SLOW)
        of_site = self._sites.get(site)
        if of_site is None:
            of_site = self._new_site(site)
        known.most = of_site.most = most
        if not (known.has_room and of_site.has_room and self._has_room_for(known)):
            return None
        if known.waiting or of_site.blocked or self._ready[known.lane]:
            return None
        return self._occupy(known, of_site)

    def take_over(self, peers: Set[Peer]) -> Slot | None:
        """An open connection to any of `peers` that has no work, if there is one."""
        for peer in peers:
            for slot in self._idle_to.get(peer, ()):
                event = self._idle.get(slot)
                if event is not None and not event.is_set() and slot.connection is not None:
                    if slot.connection.closed or slot.connection.is_old or not self._may_go_on(slot):
                        continue
                    self._no_longer_idle(slot)
                    slot.holder = None
                    event.set()
                    return slot
        return None

    def hand_over(self, slot: Slot) -> bool:
        """Give an open connection that is done with to who has waited longest for one like it; whether it was given."""
        connection = slot.connection
        if connection is None or connection.closed or connection.is_old or self.is_closing:
            return False
        if not self._may_go_on(slot):
            return False
        for waiter in self._wanted.get(connection.peer, ()):
            if not waiter.future.done() and waiter.site is slot.site:
                self._withdraw(waiter)
                slot.holder = None
                slot.moved = self._clock()
                waiter.future.set_result(slot)
                return True
        return False

    def release(self, slot: Slot) -> None:
        """Its connection has ended."""
        del self._slots[slot]
        address = slot.address
        address.open -= 1
        slot.site.open -= 1
        if slot.is_aside:
            self._aside -= 1
            address.aside -= 1
        else:
            self._count(address, -1)
        if slot.is_set_back and not address.is_proved:
            self._into(address, Lane.SLOW)
        self._make_ready(address)
        self._unblock(slot.site)
        self._admit()

    def prove(self, address: Address) -> None:
        """It has answered a transaction."""
        if not address.is_proved:
            self._into(address, Lane.PROVED)
            self._admit()

    def doubt(self, address: Address) -> None:
        """It does not answer any more."""
        if address.is_proved:
            self._into(address, Lane.NEW)

    def _into(self, address: Address, lane: Lane) -> None:
        self._ready[address.lane].pop(address, None)
        taken = address.open - address.aside
        self._count(address, -taken)
        address.lane = lane
        self._count(address, taken)
        self._make_ready(address)

    def _count(self, address: Address, more: int) -> None:
        """So many connections more to an address take room."""
        if not address.is_proved:
            self._unproved += more
        if address.lane is Lane.SLOW:
            self._slow += more

    def count_again(self, slot: Slot) -> None:
        """It has answered, after it was set aside."""
        slot.is_aside = False
        self._aside -= 1
        slot.address.aside -= 1
        self._count(slot.address, 1)

    def _give_up_aside(self) -> None:
        before = self._clock() - ASIDE_SECONDS
        for slot in list(self._slots):
            if slot.is_aside and slot.awaits_answer and slot.moved < before and not slot.address.is_proved:
                slot.give_up()

    def turn_away(self, name: str) -> None:
        """Have all who wait for an address look at what was learned of it."""
        self._turn_away(self._addresses[name], None)

    def _turn_away(self, address: Address, why: NoRoom | None) -> None:
        waiting, address.waiting = address.waiting, deque()
        self._ready[address.lane].pop(address, None)
        if waiting:
            waiting[0].site.blocked.pop(address, None)
        for waiter in waiting:
            if not waiter.future.done():
                waiter.future.set_result(why)
        for site in {waiter.site.name: waiter.site for waiter in waiting}.values():
            self._unblock(site)

    def is_wanted(self, slot: Slot) -> bool:
        """Whether somebody waits who could have a connection if this one ended."""
        if self._ready[Lane.PROVED]:
            return True
        if slot.address.waiting or slot.site.blocked:
            return True
        if slot.address.is_proved and self._unproved_are_many:
            return False
        return bool(self._ready[Lane.NEW] or (self._ready[Lane.SLOW] and self._may_be_slow))

    async def idle(self, slot: Slot, event: asyncio.Event, seconds: float) -> None:
        """Hold a connection without work until `event` is set, or somebody needs it more."""
        self._idle[slot] = event
        if slot.connection is not None:
            self._idle_to.setdefault(slot.connection.peer, {})[slot] = None
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._no_longer_idle(slot)

    def give_up_silent(self) -> None:
        """Give up all hosts that are silent, and have what waits for long for hosts of which nothing is known wait
        elsewhere: it keeps other mail from being taken up. Those who are next have the room that becomes free by it.
        """
        self._set_aside()
        next_ones = set(islice(chain(self._ready[Lane.NEW], self._ready[Lane.SLOW]), self._give_up(0)))
        before = self._clock() - SILENT_SECONDS
        for address in list(self._addresses.values()):
            waits = bool(address.waiting) and not address.is_proved and address.waiting[0].since < before
            if waits and address not in next_ones:
                self._turn_away(address, NoRoom())

    @property
    def free_for_new(self) -> int:
        """How many more hosts of which nothing is known could be talked to than there are, or wait for it."""
        in_use = max(self._taken - len(self._idle), self._unproved + self._limit // RESERVED_SHARE)
        return self._limit - in_use - len(self._ready[Lane.NEW]) - len(self._ready[Lane.SLOW])

    def close(self) -> None:
        """Nobody gets any more."""
        self.is_closing = True
        for name in list(self._addresses):
            self.turn_away(name)
        if self._review is not None:
            self._review.cancel()

    def _new_address(self, name: str) -> Address:
        if len(self._addresses) >= self._tidy_at:
            self._addresses = {key: one for key, one in self._addresses.items() if one.open or one.waiting}
            self._tidy_at = max(MANY_ADDRESSES, 2 * len(self._addresses))
        address = self._addresses[name] = Address(name)
        return address

    def _new_site(self, name: str) -> Site:
        if len(self._sites) >= self._tidy_sites_at:
            self._sites = {key: one for key, one in self._sites.items() if one.open or one.waiting}
            self._tidy_sites_at = max(MANY_ADDRESSES, 2 * len(self._sites))
        site = self._sites[name] = Site(name)
        return site

    @property
    def _taken(self) -> int:
        """Connections that take room."""
        return len(self._slots) - self._aside

    @property
    def _unproved_are_many(self) -> bool:
        return self._unproved >= self._limit - self._limit // RESERVED_SHARE

    def _has_room_for(self, address: Address) -> bool:
        if self._taken >= self._limit or address.is_proved:
            return self._taken < self._limit
        return not self._unproved_are_many and (address.lane is not Lane.SLOW or self._may_be_slow)

    @property
    def _silent_share(self) -> int:
        return max(1, self._limit // SILENT_SHARE)

    @property
    def _may_be_slow(self) -> bool:
        """Whether one more connection may lead to a slow host."""
        return self._slow < self._silent_share or not self._ready[Lane.NEW]

    def _occupy(self, address: Address, site: Site) -> Slot:
        slot = Slot(address, site, self._clock())
        self._slots[slot] = None
        address.open += 1
        site.open += 1
        self._count(address, 1)
        return slot

    def _may_go_on(self, slot: Slot) -> bool:
        """Whether it may serve others of its site: neither is it one too many there, nor is it other sites' turn."""
        if slot.site.open > slot.site.most:
            return False
        if not slot.has_had_turn:
            return True
        waiting = [next(iter(ready), None) for ready in self._ready.values()]
        return all(address is None or address.waiting[0].site is slot.site for address in waiting)

    def _no_longer_idle(self, slot: Slot) -> None:
        if self._idle.pop(slot, None) is not None and slot.connection is not None:
            peer = slot.connection.peer
            idle = self._idle_to.get(peer, {})
            idle.pop(slot, None)
            if not idle:
                self._idle_to.pop(peer, None)

    def _withdraw(self, waiter: Waiter) -> None:
        """Somebody waits no more for room at an address."""
        address = waiter.address
        address.waiting.remove(waiter)
        waiter.site.blocked.pop(address, None)
        self._ready[address.lane].pop(address, None)
        self._make_ready(address)

    def _make_ready(self, address: Address) -> None:
        """Have the address take its turn, if somebody waits for it and it may have one more."""
        ready = self._ready[address.lane]
        if not (address.waiting and address.has_room):
            ready.pop(address, None)
        elif not address.waiting[0].site.has_room:
            ready.pop(address, None)
            address.waiting[0].site.blocked[address] = None
        elif address not in ready:
            ready[address] = next(self._turns)

    def _unblock(self, site: Site) -> None:
        """Have an address take its turn that waited for the limit of its site."""
        while site.blocked and site.has_room:
            address = next(iter(site.blocked))
            del site.blocked[address]
            self._make_ready(address)
            if address in self._ready[address.lane]:
                return

    def _admit(self) -> None:
        """Give what is free to those who wait, an address after the other."""
        while (address := self._next()) is not None:
            self._ready[address.lane].pop(address)
            waiter = address.waiting[0]
            if waiter.site.has_room:
                address.waiting.popleft()
                if not waiter.future.done():
                    waiter.future.set_result(self._occupy(address, waiter.site))
            self._make_ready(address)
            self._unblock(waiter.site)
        if any(self._ready.values()):
            self._plan_review()

    def _next(self) -> Address | None:
        """Whoever came first, of those that have answered and of the others."""
        if self._taken >= self._limit:
            return None
        proved = next(iter(self._ready[Lane.PROVED].items()), None)
        others = None if self._unproved_are_many else self._next_unproved()
        if others is None:
            return proved[0] if proved is not None else None
        return others if proved is None or self._first_turn(others.lane) < proved[1] else proved[0]

    def _next_unproved(self) -> Address | None:
        """Of new hosts the last, of those the first, and a slow one."""
        new, slow = self._ready[Lane.NEW], self._ready[Lane.SLOW]
        self._turn = (self._turn + 1) % 3
        if slow and self._may_be_slow and (self._turn == 0 or not new):
            return next(iter(slow))
        return next(reversed(new) if self._turn == 1 else iter(new), None)

    def _first_turn(self, lane: Lane) -> int:
        return next(iter(self._ready[lane].values()))

    def _wake_idle(self) -> None:
        """Have a connection without work end for who waits: the oldest of those that are of use."""
        for slot, event in self._idle.items():
            if self.is_wanted(slot):
                self._no_longer_idle(slot)
                event.set()
                return

    def _plan_review(self) -> None:
        if self._review is None and not self.is_closing:
            self._review = asyncio.get_running_loop().call_later(REVIEW_SECONDS, self._look_over)

    def _look_over(self) -> None:
        """While somebody waits, see that the silent have no more than their share."""
        self._review = None
        if any(self._ready.values()):
            self._set_aside()
            self._set_back_unheard()
            self._give_up(self._silent_share if not self._ready[Lane.SLOW] else self._silent_share // 2)
            self._plan_review()

    def _set_back_unheard(self) -> None:
        """Have new hosts that say nothing give way to those that wait."""
        before = self._clock() - PROBE_SECONDS
        self._set_back(len(self._ready[Lane.NEW]), Lane.NEW, before)

    def _set_back_slow(self) -> None:
        """Have slow hosts give back the room that new ones had left to them."""
        self._set_back(min(len(self._ready[Lane.NEW]), self._slow - self._silent_share), Lane.SLOW, self._clock())

    def _set_back(self, number: int, lane: Lane, before: float) -> None:
        """Those that have waited longest for a greeting, from before that moment; with those that were told already."""
        if number <= 0:
            return
        ending = sum(slot.is_set_back for slot in self._slots)
        unheard = (slot for slot in self._slots if slot.address.lane is lane and slot.awaits_greeting)
        for slot in list(islice((slot for slot in unheard if slot.moved <= before), max(0, number - ending))):
            slot.set_back()

    def _set_aside(self) -> None:
        """Have hosts that are silent after a message, and can't be given up, take no room from others."""
        before = self._clock() - SILENT_SECONDS
        for slot in list(self._slots):
            if self._aside >= self._most_aside:
                self._give_up_aside()
                break
            if slot.moved < before and not slot.is_aside and slot.awaits_answer and slot not in self._idle:
                slot.is_aside = True
                self._aside += 1
                slot.address.aside += 1
                self._count(slot.address, -1)
        self._admit()

    def _give_up(self, allowed: int) -> int:
        """Give up connections to hosts that are silent, but for so many; how many."""
        before = self._clock() - SILENT_SECONDS
        silent = [slot for slot in self._slots if slot.moved < before and slot not in self._idle]
        silent.sort(key=lambda slot: slot.moved)
        given_up = [slot for slot in silent if slot.may_give_way][: max(0, len(silent) - allowed)]
        for slot in given_up:
            slot.give_up()
        return len(given_up)
