"""Greylisting: mail of a stranger is let in when it is tried again after a while, as real mail servers do.

Known are a client's network (/24 or /64), the envelope sender and the recipient. A network that has come back often
enough is not made to wait any more. Deciding is pure; `decide` asks and tells the database, once for many questions.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

from django.db.models import Count

from accounts.actor import SYSTEM, Actor
from accounts.addresses import key_of
from base.action import record
from quarantine.models.antispam import AntispamSettings
from quarantine.models.greylist import GreylistClient, Greylisted
from spool.message.summary import storable
from spool.rows import statements

# How often the time at which something was seen last is written anew: the days of expiry need no more.
SEEN_ANEW: Final = timedelta(hours=12)
CHUNK: Final = 5_000
# What large senders put into a bounce address, another each time: a tag, and numbers or hexadecimal words.
_TAG: Final = re.compile(r"\+.*")
_NUMBER: Final = re.compile(r"(?<![a-z0-9])(?=[0-9a-f]*[0-9])[0-9a-f]+(?![a-z0-9])")


@dataclass(frozen=True, slots=True)
class Triplet:
    """Who writes to whom from where, in the spelling that is compared."""

    network: str
    sender: str
    recipient: str

    @property
    def key(self) -> str:
        text = "\n".join((self.network, self.sender, self.recipient))
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def triplet_of(client_ip: str, sender: str, recipient: str) -> Triplet:
    """What is remembered of one RCPT. Raises ValueError when `client_ip` is no address."""
    address = ipaddress.ip_address(client_ip.partition("%")[0])
    network = ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False)
    local_part, at, domain = key_of(sender).rpartition("@")
    bare = _NUMBER.sub("#", _TAG.sub("", local_part)) + at + domain
    return Triplet(str(network), storable(bare, 320), storable(key_of(recipient), 320))


@dataclass(slots=True)
class Known:
    """What the database has of one triplet."""

    first_seen: datetime
    last_seen: datetime
    passed: bool


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether it is let in, or in how many seconds it may try again; and what is to be remembered."""

    wait_seconds: int = 0
    is_new: bool = False
    begins_anew: bool = False
    has_come_back: bool = False
    is_seen_anew: bool = False


def rule(known: Known | None, settings: AntispamSettings, now: datetime) -> Ruling:
    """What becomes of one RCPT."""
    delay = timedelta(seconds=settings.greylist_seconds)
    whole = settings.greylist_seconds
    if known is None:
        return Ruling(whole, is_new=True)
    if known.passed:
        if now - known.last_seen > timedelta(days=settings.greylist_days):
            return Ruling(whole, begins_anew=True)
        return Ruling(is_seen_anew=now - known.last_seen >= SEEN_ANEW)
    waited = now - known.first_seen
    if waited > timedelta(hours=settings.greylist_hours):
        return Ruling(whole, begins_anew=True)
    if waited < delay:
        return Ruling(max(1, round((delay - waited).total_seconds())))
    return Ruling(has_come_back=True)


def decide(triplets: Sequence[Triplet], settings: AntispamSettings, now: datetime) -> list[int]:
    """In how many seconds each may try again; 0 for those that are let in.

    One question to the database, and where there is something new to remember one transaction. Raises django.db.Error.
    """
    known, clients = _read({one.key for one in triplets}, {one.network for one in triplets})
    proven = {
        network: seen
        for network, (passes, seen) in clients.items()
        if 0 < settings.greylist_passes <= passes and now - seen <= timedelta(days=settings.greylist_days)
    }
    rulings = {
        one: rule(known.get(one.key), settings, now) for one in dict.fromkeys(triplets) if one.network not in proven
    }
    _write(rulings, [network for network, seen in proven.items() if now - seen >= SEEN_ANEW], now)
    return [rulings[one].wait_seconds if one in rulings else 0 for one in triplets]


def _read(keys: set[str], networks: set[str]) -> tuple[dict[str, Known], dict[str, tuple[int, datetime]]]:
    """What is known of the triplets, and of the networks how often they came back and when they were seen last."""
    of_keys, keys_given = statements.id_list(sorted(keys))  # type: ignore[arg-type]
    of_networks, networks_given = statements.id_list(sorted(networks))  # type: ignore[arg-type]
    triplets = f"SELECT key, first_seen, last_seen, passed, -1 FROM quarantine_greylisted WHERE key {of_keys}"  # noqa: S608
    of_clients = f"FROM quarantine_greylistclient WHERE network {of_networks}"
    seen = f"SELECT network, last_seen, last_seen, FALSE, passes {of_clients}"
    rows = statements.execute(f"{triplets} UNION ALL {seen}", [*keys_given, *networks_given]).fetchall()
    known: dict[str, Known] = {}
    clients: dict[str, tuple[int, datetime]] = {}
    for name, first, last, passed, passes in rows:
        if passes < 0:
            known[name] = Known(statements.from_db_time(first), statements.from_db_time(last), bool(passed))
        else:
            clients[name] = (passes, statements.from_db_time(last))
    return known, clients


def _write(rulings: dict[Triplet, Ruling], seen_networks: Sequence[str], now: datetime) -> None:
    """Remember what is new. Nothing is written for mail that is let in every day."""
    moment = statements.db_time(now)
    new = [
        (one.key, one.network, one.sender, one.recipient, moment, moment, False)
        for one, ruling in rulings.items()
        if ruling.is_new
    ]
    again = [(moment, moment, one.key) for one, ruling in rulings.items() if ruling.begins_anew]
    seen = [(moment, one.key) for one, ruling in rulings.items() if ruling.is_seen_anew]
    back = [one for one, ruling in rulings.items() if ruling.has_come_back]
    if not (new or again or seen or back or seen_networks):
        return
    with statements.write_transaction():
        _each(
            "INSERT INTO quarantine_greylisted (key, network, sender, recipient, first_seen, last_seen, passed)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (key) DO NOTHING",
            sorted(new),
        )
        _each(
            "UPDATE quarantine_greylisted SET first_seen = %s, last_seen = %s, passed = FALSE WHERE key = %s",
            sorted(again),
        )
        _each("UPDATE quarantine_greylisted SET last_seen = %s WHERE key = %s", sorted(seen))
        networks = list(seen_networks)
        for one in sorted(back, key=lambda one: one.key):
            # Of two listeners that see it come back at once, one counts it.
            changed = statements.execute(
                "UPDATE quarantine_greylisted SET passed = TRUE, last_seen = %s WHERE key = %s AND NOT passed",
                (moment, one.key),
            )
            if changed.rowcount:
                networks.append(one.network)
        counted = [(network, int(place >= len(seen_networks)), moment) for place, network in enumerate(networks)]
        _each(
            "INSERT INTO quarantine_greylistclient (network, passes, last_seen) VALUES (%s, %s, %s)"
            " ON CONFLICT (network) DO UPDATE SET passes = quarantine_greylistclient.passes + excluded.passes,"
            " last_seen = excluded.last_seen",
            sorted(counted),
        )


def _each(statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        statements.execute_many(statement, rows)


def sweep(settings: AntispamSettings, now: datetime) -> int:
    """Forget what has not been seen for too long; how many rows."""
    waited, seen = now - timedelta(hours=settings.greylist_hours), now - timedelta(days=settings.greylist_days)
    return (
        _forget(Greylisted, {"passed": False, "last_seen__lt": waited})
        + _forget(Greylisted, {"passed": True, "last_seen__lt": seen})
        + _forget(GreylistClient, {"last_seen__lt": seen})
    )


def forget(networks: Iterable[str] | None = None, *, actor: Actor = SYSTEM) -> int:
    """Forget everything, or all of these networks; how many rows. Raises NotAllowed."""
    actor.require_administration()
    networks = None if networks is None else list(networks)
    # Before it is done: there may be millions, which go in many transactions.
    record(actor, "forget greylisting", "everything" if networks is None else ", ".join(networks))
    which = {} if networks is None else {"network__in": networks}
    return _forget(Greylisted, which) + _forget(GreylistClient, which)


def _forget(model: type[Greylisted] | type[GreylistClient], which: dict[str, Any]) -> int:
    count = 0
    while ids := list(model._default_manager.filter(**which).values_list("pk", flat=True)[:CHUNK]):
        count += model._default_manager.filter(pk__in=ids).delete()[0]
    return count


@dataclass(frozen=True, slots=True)
class Standing:
    """How many triplets wait, how many have come back, and how many networks need not wait any more."""

    waiting: int
    passed: int
    proven: int


def standing(settings: AntispamSettings) -> Standing:
    """Two queries."""
    by_state = dict(Greylisted.objects.order_by().values_list("passed").annotate(total=Count("pk")))
    enough = GreylistClient.objects.filter(passes__gte=max(1, settings.greylist_passes))
    return Standing(by_state.get(False, 0), by_state.get(True, 0), enough.count() if settings.greylist_passes else 0)
