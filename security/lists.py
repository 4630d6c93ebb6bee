"""The lists as every process keeps them: read once, compiled, asked from memory.

Each change raises the one ListsStamp. A process looks at it at most POLL_SECONDS after the last time and reads the
lists anew when the number is another; a listener does so in a thread of its own (`watch`), so that no session waits.
While the database is away, what was read last stays in force.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.db import Error as DatabaseError
from django.db import close_old_connections, transaction
from django.db.models import F

from base.short_cache import ShortCache
from security.addresses import NetworkMap, parse_address, parse_network
from security.models.networks import BlacklistEntry, Protocol, WhitelistEntry
from security.models.senders import BlockKind, Direction, SMTPBlock
from security.models.stamp import ListsStamp
from security.patterns import NameSet, Rule, SenderSet

log = logging.getLogger(__name__)

POLL_SECONDS = 0.4
_watched = False


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list says of a network. `until` is in seconds since 1970."""

    id: int
    network: str
    until: float = float("inf")


@dataclass(frozen=True, slots=True)
class Blocks:
    """SMTP blocks of one direction."""

    senders: SenderSet = field(default_factory=SenderSet)
    ehlo: NameSet = field(default_factory=NameSet)


@dataclass(frozen=True)
class Lists:
    """All lists of one version, read-only: any thread may ask."""

    blacklist: dict[Protocol, NetworkMap[Listing]] = field(default_factory=dict)
    whitelist: dict[Protocol, NetworkMap[Listing]] = field(default_factory=dict)
    vouched: NetworkMap[Listing] = field(default_factory=NetworkMap)
    auth_bypass: NetworkMap[Listing] = field(default_factory=NetworkMap)
    spam_bypass: NetworkMap[Listing] = field(default_factory=NetworkMap)
    login_bypass: NetworkMap[Listing] = field(default_factory=NetworkMap)
    inbound: Blocks = field(default_factory=Blocks)
    outbound: Blocks = field(default_factory=Blocks)

    def blacklisted(self, ip: str, protocol: Protocol) -> Listing | None:
        """The entry by which `ip` is kept out; None for one on the whitelist."""
        entries = self.blacklist.get(protocol)
        if not entries:
            return None
        address = parse_address(ip)
        if address is None:
            return None
        now = time.time()
        found = next((listing for listing in entries.values_at(address) if listing.until > now), None)
        if found is None or self._is_in(self.whitelist.get(protocol), ip):
            return None
        return found

    def whitelisted(self, ip: str, protocol: Protocol) -> bool:
        """Whether `ip` is let in whatever else is said of it."""
        return self._is_in(self.whitelist.get(protocol), ip)

    def vouched_for(self, ip: str) -> bool:
        """Whether somebody has whitelisted `ip` for SMTP, or it is this machine.

        That a network is internal is not enough: behind a NAT or in a container strangers come in from there as well.
        """
        return self._is_in(self.vouched, ip)

    def may_relay(self, ip: str) -> bool:
        """Whether `ip` may send anywhere without a login."""
        return self._is_in(self.auth_bypass, ip)

    def skips_spam_checks(self, ip: str) -> bool:
        return self._is_in(self.spam_bypass, ip)

    def skips_login_protection(self, ip: str) -> bool:
        """Whether wrong passwords from `ip` never close the login to the address itself."""
        return self._is_in(self.login_bypass, ip)

    def blocks(self, direction: Direction) -> Blocks:
        """Of INBOUND or OUTBOUND."""
        return self.outbound if direction is Direction.OUTBOUND else self.inbound

    @staticmethod
    def _is_in(networks: NetworkMap[Listing] | None, ip: str) -> bool:
        if not networks:
            return False
        address = parse_address(ip)
        return address is not None and address in networks


def current() -> Lists:
    """The lists. May ask the database, but not in a process that watches: there it is safe in an event loop."""
    if _watched and (last := _kept.last) is not None:
        return last.lists
    if _is_told():
        # What this thread has changed is not for others to see yet.
        return _load()
    return _kept.current().lists


def newest() -> Lists:
    """The lists as they are this very moment: for a page that shows what its reader has just changed elsewhere."""
    if _is_told():
        return _load()
    return _kept.renew().lists


def trusts(ip: str) -> bool:
    """SPOOL_TRUSTED_CLIENTS: whether hosts of `ip` may send anywhere without a login."""
    return current().may_relay(ip)


def skips_spam_checks(ip: str) -> bool:
    """Whether the whitelist says that mail from `ip` is not checked for spam."""
    return current().skips_spam_checks(ip)


def refresh() -> bool:
    """Read the lists when their version is another; whether it was. Raises django.db.Error."""
    before = _kept.last
    return _kept.renew() is not before


def watch(changed: Callable[[], None]) -> None:
    """Read the lists now, and after each change in a thread that then calls `changed`. Raises django.db.Error."""
    global _watched
    refresh()
    _watched = True
    threading.Thread(target=_keep_fresh, args=(changed,), name="lists", daemon=True).start()


def _keep_fresh(changed: Callable[[], None]) -> None:
    is_away = is_new = False
    while True:
        time.sleep(POLL_SECONDS)
        try:
            close_old_connections()
            is_new = refresh() or is_new
            if is_new:
                changed()
                is_new = False
        except DatabaseError as error:
            if not is_away:
                log.warning("the security lists could not be read, the old ones stay: %s", error)
            is_away = True
            continue
        except Exception:  # the edge of the thread: it must not end before its process
            log.exception("the security lists can't be used, the old ones stay")
            continue
        is_away = False


def forget() -> None:
    """Drop what this process keeps."""
    _kept.forget()


def look_again() -> None:
    """Ask the database for the version before anything is answered."""
    _kept.expire()


def changed() -> None:
    """Tell every process that a list has changed, with the transaction's commit.

    Signals call it after each save and delete; whoever writes without signals (update, bulk_create) calls it as well.
    """
    if not _is_told():
        _raise_version()
        transaction.on_commit(_committed)


def _committed() -> None:
    # The next who asks in this process sees the change.
    look_again()


def _is_told() -> bool:
    """Whether the open transaction has raised the version."""
    connection = transaction.get_connection()
    return connection.in_atomic_block and any(callback[1] is _committed for callback in connection.run_on_commit)


def _raise_version() -> None:
    while not ListsStamp.objects.filter(pk=1).update(version=F("version") + 1):
        # The first number is the time: a database that was emptied or restored doesn't come back to a version that
        # some process remembers.
        _, is_new = ListsStamp.objects.get_or_create(pk=1, defaults={"version": time.time_ns() // 1000})
        if is_new:
            return


@dataclass(frozen=True, slots=True)
class _Stamped:
    version: int | None
    lists: Lists


def _read() -> _Stamped:
    version = ListsStamp.objects.filter(pk=1).values_list("version", flat=True).first()
    last = _kept.last
    if last is not None and version is not None and last.version == version:
        return last
    return _Stamped(version, _load())


_kept = ShortCache(POLL_SECONDS, _read, one_reader=True, outlasts=(DatabaseError,), name="the security lists")


def _load() -> Lists:
    """All lists as the database has them: three queries."""
    black = [
        (parse_network(network), Listing(pk, network, until.timestamp() if until else float("inf")), smtp, web)
        for pk, network, until, smtp, web in BlacklistEntry.objects.values_list(
            "pk", "network", "expires_at", "smtp", "web"
        )
    ]
    flags = ("smtp", "web", "auth_bypass", "spam_bypass", "login_bypass", "is_default")
    white = [
        (parse_network(network), Listing(pk, network), dict(zip(flags, values, strict=True)))
        for pk, network, *values in WhitelistEntry.objects.values_list("pk", "network", *flags)
    ]
    blocks = list(SMTPBlock.objects.values_list("kind", "direction", "pk", "pattern"))

    def whitelisted(flag: str) -> NetworkMap[Listing]:
        return NetworkMap((network, listing) for network, listing, given in white if given[flag])

    return Lists(
        blacklist={
            Protocol.SMTP: NetworkMap((network, listing) for network, listing, smtp, _ in black if smtp),
            Protocol.WEB: NetworkMap((network, listing) for network, listing, _, web in black if web),
        },
        whitelist={Protocol.SMTP: whitelisted("smtp"), Protocol.WEB: whitelisted("web")},
        vouched=NetworkMap(
            (network, listing)
            for network, listing, given in white
            if given["smtp"] and (network.is_loopback or not given["is_default"])
        ),
        auth_bypass=whitelisted("auth_bypass"),
        spam_bypass=whitelisted("spam_bypass"),
        login_bypass=whitelisted("login_bypass"),
        inbound=_blocks(blocks, Direction.INBOUND),
        outbound=_blocks(blocks, Direction.OUTBOUND),
    )


def _blocks(rows: Iterable[tuple[str, str, int, str]], direction: Direction) -> Blocks:
    rules: dict[str, list[Rule]] = {kind.value: [] for kind in BlockKind}
    for kind, of, pk, pattern in rows:
        # A row that something else has written into the database must not take every page and listener with it.
        if of in (direction, Direction.BOTH) and kind in rules:
            rules[kind].append(Rule(pk, pattern))
    return Blocks(SenderSet(rules[BlockKind.ADDRESS], rules[BlockKind.DOMAIN]), NameSet(rules[BlockKind.EHLO]))
