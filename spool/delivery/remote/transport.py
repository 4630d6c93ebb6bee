"""Remote delivery: transactions queued by destination, sent over kept connections.

A destination is a domain, a route's host or an LMTP store. It opens one connection, and more only after one has proved
alive and while its queue is longer than they can soon take. When none of its hosts answers, everything queued for it
gets that one result, and their addresses rest: a dead host costs one connection, not one per message, nor one for each
of its names. A connection that has no more work goes on to another destination with the same host. The mail store has
connections of its own (capacity.py): no mail for here waits for hosts elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from base.expiring import ExpiringDict
from spool.delivery.answers import AnswerFile
from spool.delivery.remote.backoff import Rest
from spool.delivery.remote.capacity import Capacity
from spool.delivery.remote.destination import Destination
from spool.delivery.remote.mx import Exchangers
from spool.delivery.remote.opening import FailedTLS
from spool.delivery.remote.tls_sessions import Sessions
from spool.delivery.remote.transaction import RECIPIENTS_PER_TRANSACTION, Done, Transaction
from spool.delivery.routes import RoutingTable
from spool.delivery.shaping.brakes import Brakes
from spool.delivery.shaping.limits import Table
from spool.delivery.shaping.rules import NO_RULES, RuleBook
from spool.delivery.shaping.warm_up import NO_PLAN, Plan
from spool.delivery.sources import NO_SOURCES, Local, Pair, Source, Sources
from spool.message.envelope import LeasedEntry, LeasedRecipient
from spool.message.tls_wish import TLSWish
from spool.models.settings import Settings
from spool.monitoring.programs import Live
from spool.signing.ring import NONE as NO_KEYS
from spool.signing.ring import KeyRing

# How long a host whose STARTTLS fails gets its mail in clear text before TLS is tried again.
CLEAR_TEXT_SECONDS = 3600.0
# No transaction begun for so long, although some wait: the host hangs.
STALLED_SECONDS = 10.0
# How often it is looked whether there is room again for mail that was put off for want of it.
TAKE_BACK_SECONDS = 1.0
# A pass may live for days: from so many destinations on, those that are not in use are forgotten.
MANY_DESTINATIONS = 2000
SITES_SECONDS, MOST_SITES = 3600.0, 50_000

# Told of a host that answers again: the domains whose mail waits for it, and the error groups of what that was told.
CameBack = Callable[[Sequence[str], Sequence[str]], None]


class Transport:
    """All destinations of one worker. Loop thread only."""

    def __init__(
        self,
        hostname: str,
        workers: int,
        resolver: str = "",
        answers: AnswerFile | None = None,
        came_back: CameBack | None = None,
        brakes: Brakes | None = None,
        sessions: Sessions | None = None,
        local: Local | None = None,
    ) -> None:
        self.hostname = hostname
        self.brakes = Brakes() if brakes is None else brakes
        self.sessions = Sessions() if sessions is None else sessions
        self.local = Local() if local is None else local
        self.sources = NO_SOURCES
        # Where the mail of domains goes: it decides which of our addresses it leaves from.
        self.sites: ExpiringDict[str, str] = ExpiringDict(SITES_SECONDS, MOST_SITES)
        self._tell_came_back = came_back
        self._answers = answers
        self.workers = workers
        self.exchangers = Exchangers(hostname, resolver)
        self.settings = Settings()
        self.routes = RoutingTable()
        self.rules = NO_RULES
        self.keys = NO_KEYS
        self.remote, self.to_store = Capacity(), Capacity()
        # Transactions that wait for a destination of which nothing is known yet.
        self.parked = 0
        # Until when mail waits elsewhere for which there was no room, and what that was told.
        self._elsewhere_until, self._elsewhere = 0.0, ""
        self._taking_back: asyncio.TimerHandle | None = None
        self.clear_text_only: FailedTLS = ExpiringDict(CLEAR_TEXT_SECONDS)
        self._destinations: dict[str, Destination] = {}
        self._tidy_at = MANY_DESTINATIONS

    def configure(
        self,
        settings: Settings,
        routes: RoutingTable,
        keys: KeyRing = NO_KEYS,
        limits: Table | None = None,
        live: Live | None = None,
        rules: RuleBook = NO_RULES,
        sources: Sources = NO_SOURCES,
        plan: Plan = NO_PLAN,
    ) -> None:
        """Use these from now on; None: the limits as they were, and as many workers."""
        if live is not None:
            self.workers = live.here
        if limits is not None:
            share = live.everywhere if live is not None else self.workers
            self.brakes.configure(limits, is_active=settings.adapt_pace, share=share, rules=rules)
        self.sessions.configure(is_on=settings.send_tls_reports and keys.signs_as(settings.postmaster_address))
        self.settings = settings
        self.routes = routes
        self.rules = rules
        self.sources = sources
        self.local.look(sources)
        self.brakes.allowances.configure(plan, self.brakes.share)
        self.keys = keys
        # The workers share the limits evenly.
        self.remote.configure(-(-settings.max_remote_deliveries // self.workers))
        self.to_store.configure(-(-settings.max_local_deliveries // self.workers))

    def put(self, entry: LeasedEntry, recipients: Sequence[LeasedRecipient], done: Done, *, lmtp: bool = False) -> int:
        """Queue `entry` for `recipients`; `done` is called as many times as the number returned, perhaps already."""
        groups: dict[str, list[LeasedRecipient]] = {}
        pairs: dict[str, Pair] = {}
        order = self.sources.order_for(entry) if self.sources and not lmtp else ()
        for recipient in recipients:
            key = self._key(recipient.domain, lmtp, entry.next_hop, entry.tls_wish)
            if order and (pair := self._pair(entry, order, recipient.domain)) is not None:
                key += f" from {pair.ipv4} {pair.ipv6}{self.sources.version}"
                pairs[key] = pair
            groups.setdefault(key, []).append(recipient)
        # Nothing is queued before it is known where all of it goes: what raises has left nothing behind.
        places = [
            self._destinations.get(key) or self._new_destination(key, group[0].domain, lmtp, entry, pairs.get(key))
            for key, group in groups.items()
        ]
        count = 0
        for destination, group in zip(places, groups.values(), strict=True):
            for start in range(0, len(group), RECIPIENTS_PER_TRANSACTION):
                some = group[start : start + RECIPIENTS_PER_TRANSACTION]
                destination.put(Transaction(entry, some, done, answers=self._answers))
                count += 1
        return count

    def put_elsewhere(self, transaction: Transaction, before: Destination) -> bool:
        """Queue it where it is to leave from another address of ours; whether there is such a place."""
        entry, domain = transaction.entry, transaction.recipients[0].domain
        if not self.sources or (pair := self._pair(entry, self.sources.order_for(entry), domain)) is None:
            return False
        key = self._key(domain, False, entry.next_hop, entry.tls_wish)
        key += f" from {pair.ipv4} {pair.ipv6}{self.sources.version}"
        destination = self._destinations.get(key) or self._new_destination(key, domain, False, entry, pair)
        if destination is before:
            return False
        destination.put(transaction)
        return True

    def _pair(self, entry: LeasedEntry, order: Sequence[Source], domain: str) -> Pair | None:
        """The addresses that its mail for a domain leaves from; None where a route says which one."""
        hop = None if entry.next_hop else self.routes.route_for(domain)
        if hop is not None and hop.source_address:
            return None
        site = "" if entry.next_hop else self.sites.get(domain) or ""
        if self.rules and (chosen := self.rules.of_mail(domain, site).value(lambda rule: rule.sources)):
            order = [self.sources.by_address.get(address) or Source(address) for address in chosen]
        return Pair(self._first(order, site, is_ipv6=False), self._first(order, site, is_ipv6=True))

    def _first(self, order: Sequence[Source], site: str, *, is_ipv6: bool) -> str | None:
        """The first of a kind that works; when the receiver wants none of them, the one that it has to do without for
        the shortest time.
        """
        of_kind = [source.address for source in order if source.is_ipv6 is is_ipv6]
        if not of_kind:
            return None
        here = [address for address in of_kind if address not in self.local.missing]
        ends: list[tuple[datetime, str]] = []
        for address in here:
            until = self.brakes.suspended(site, address) if site else None
            if until is None:
                return address
            ends.append((until, address))
        return min(ends)[1] if ends else ""

    def _key(self, domain: str, lmtp: bool, next_hop: str, tls_wish: str) -> str:
        if lmtp:
            return f"lmtp {self.settings.lmtp_address}"
        key = self._way(domain, next_hop) + self.rules.version
        return f"{key} {tls_wish}" if tls_wish else key

    def _way(self, domain: str, next_hop: str) -> str:
        if next_hop:
            return f"via {next_hop} {self.settings.smtp_out_port} {self.settings.tls_policy}"
        # All that was agreed on when a connection was opened: one that is kept must not serve a stricter policy.
        hop = self.routes.route_for(domain)
        if hop:
            login = hash((hop.username, hop.password))
            return f"route {hop.host}:{hop.port} {hop.tls.value} {login} {hop.source_address}"
        settings = self.settings
        asked = f"{settings.tls_policy} {settings.honour_dane} {settings.honour_mta_sts}"
        return f"{domain} {settings.smtp_out_port} {asked} {settings.source_address}"

    def _new_destination(self, key: str, domain: str, lmtp: bool, entry: LeasedEntry, pair: Pair | None) -> Destination:
        if len(self._destinations) >= self._tidy_at:
            self._destinations = {k: d for k, d in self._destinations.items() if not d.forgettable}
            self._tidy_at = max(MANY_DESTINATIONS, 2 * len(self._destinations))
        destination = self._destinations[key] = Destination(
            self, key, domain, lmtp=lmtp, next_hop=entry.next_hop, tls_wish=TLSWish(entry.tls_wish), pair=pair
        )
        return destination

    def park_stalled(self) -> None:
        """Look for destinations that worked and now only hang: their mail must not keep others from being taken up."""
        since = time.monotonic() - STALLED_SECONDS
        for destination in self._destinations.values():
            destination.park_if_stalled(since)

    def came_back(self, rest: Rest) -> None:
        """A host answers that had not."""
        if self._tell_came_back is not None and rest.domains:
            self._tell_came_back(sorted(rest.domains), sorted(rest.error_groups))

    def turned_away(self, seconds: float, reply: str) -> None:
        """Some mail waits for so long because there is no room for connections: it goes as soon as there is."""
        self._elsewhere_until, self._elsewhere = time.monotonic() + seconds, reply
        if self._taking_back is None:
            self._taking_back = asyncio.get_running_loop().call_later(TAKE_BACK_SECONDS, self._take_back)

    def _take_back(self) -> None:
        self._taking_back = None
        if time.monotonic() >= self._elsewhere_until or self.remote.is_closing:
            return
        if (room := self.remote.free_for_new) > 0:
            self.brakes.pull((), [self._elsewhere], room)
        self._taking_back = asyncio.get_running_loop().call_later(TAKE_BACK_SECONDS, self._take_back)

    def give_up_silent(self) -> None:
        """Give up connections to hosts that say nothing: there is no room to take up other mail."""
        self.remote.give_up_silent()

    async def close(self, grace_seconds: float) -> None:
        """Finish what is on the wire; what is not gets no answer."""
        if self._taking_back is not None:
            self._taking_back.cancel()
        self.remote.close()
        self.to_store.close()
        self.sessions.write()
        await asyncio.gather(*(d.close(grace_seconds) for d in self._destinations.values()))
