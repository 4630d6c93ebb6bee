"""Who is local, and what an address stands for. Answers come from a cache that is at most a second out of date.

The cache is per process. It is dropped when the one-row DirectoryStamp has changed; the stamp is read at most once a
second, so a lookup of a cached address costs no query. Everything here is safe to call from any thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import F, Prefetch

from accounts.models import (
    Alias,
    DirectoryStamp,
    Domain,
    ListMember,
    MailingList,
    Role,
    Status,
    User,
)


@dataclass(frozen=True, slots=True)
class LocalDomain:
    """A domain whose mail is delivered here."""

    id: int
    name: str
    status: Status
    catch_all: str
    max_message_kb: int
    max_recipients: int


@dataclass(frozen=True, slots=True)
class LocalUser:
    """A mailbox. `status` is the stricter of the user's and the domain's. Limits are 0 for none of their own."""

    id: int
    address: str
    domain: str
    status: Status
    forward_to: tuple[str, ...]
    forward_keeps_copy: bool
    mailbox_mb: int
    max_message_kb: int
    max_recipients: int


@dataclass(frozen=True, slots=True)
class LocalAlias:
    """An address that stands for others, here or elsewhere."""

    address: str
    domain: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalList:
    """A mailing list; `members` are the enabled ones. `bounces_to` is the reverse-path of what it sends."""

    id: int
    address: str
    domain: str
    members: tuple[str, ...]
    bounces_to: str
    owner: str
    posting: str
    subject_prefix: str


LocalAddress = LocalUser | LocalAlias | LocalList


class Miss:
    """The answer of `cached` when a query would be needed."""


MISS = Miss()
FRESH_SECONDS = 1.0
MOST_CACHED = 100_000
# SQLite allows 32,766 parameters in a statement; each address may take three.
QUERY_SIZE = 2_000


class _Cache:
    """What this process knows of the directory, until its version changes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.version = -1
        self.checked = float("-inf")
        self.domains: dict[str, LocalDomain | None] = {}
        self.addresses: dict[str, LocalAddress | None] = {}

    def fresh(self) -> bool:
        return time.monotonic() - self.checked < FRESH_SECONDS

    def refresh(self) -> None:
        """Look at the version, at most once a second, and forget everything when it is another."""
        if self.fresh():
            return
        version = DirectoryStamp.objects.filter(pk=1).values_list("version", flat=True).first() or 0
        with self.lock:
            if version != self.version or len(self.addresses) > MOST_CACHED:
                self.domains, self.addresses = {}, {}
            self.version = version
            self.checked = time.monotonic()


_cache = _Cache()


def forget() -> None:
    """Drop this process's cache."""
    global _cache
    _cache = _Cache()


def changed() -> None:
    """Tell every process that domains, users, aliases or lists have changed. For writes that send no signals."""
    if not DirectoryStamp.objects.filter(pk=1).update(version=F("version") + 1):
        DirectoryStamp.objects.get_or_create(pk=1, defaults={"version": 1})
    transaction.on_commit(forget)


def local_domain(name: str) -> LocalDomain | None:
    """The local domain of that name (in A-labels, any case), or None."""
    _cache.refresh()
    key = name.lower()
    cache = _cache
    if key not in cache.domains:
        row = Domain.objects.filter(name=key).first()
        cache.domains[key] = (
            LocalDomain(row.pk, row.name, Status(row.status), row.catch_all, row.max_message_kb, row.max_recipients)
            if row
            else None
        )
    return cache.domains[key]


def lookup(address: str) -> LocalAddress | None:
    """Who or what has this very address (or the one before a `+tag`); no catch-all."""
    return lookup_many([address])[address]


def lookup_many(addresses: Iterable[str]) -> dict[str, LocalAddress | None]:
    """`lookup` for many addresses, in a number of queries that does not grow with theirs."""
    _cache.refresh()
    cache = _cache
    wanted = {address: address.lower() for address in addresses}
    missing = {key for key in wanted.values() if key not in cache.addresses}
    for some in _batched(sorted(missing), QUERY_SIZE):
        cache.addresses.update(_find(some))
    return {address: cache.addresses.get(key) for address, key in wanted.items()}


def resolve(address: str) -> LocalAddress | None:
    """Who gets mail for `address` in a local domain: as `lookup`, else postmaster's stand-in, else the catch-all."""
    found = lookup(address)
    if found is not None:
        return found
    local_part, _, name = address.lower().rpartition("@")
    domain = local_domain(name)
    if domain is None:
        return None
    if local_part == "postmaster":
        return _postmaster(domain)
    if domain.catch_all and domain.catch_all.lower() != address.lower():
        return lookup(domain.catch_all) or LocalAlias(address.lower(), name, (domain.catch_all.lower(),))
    return None


def cached(address: str) -> LocalAddress | Miss | None:
    """`lookup` without a query: MISS when one would be needed. For event loops."""
    if not _cache.fresh():
        return MISS
    return _cache.addresses.get(address.lower(), MISS)


def cached_domain(name: str) -> LocalDomain | Miss | None:
    """`local_domain` without a query: MISS when one would be needed. For event loops."""
    if not _cache.fresh():
        return MISS
    return _cache.domains.get(name.lower(), MISS)


def may_send_as(user: LocalUser, sender: str) -> bool:
    """Whether `sender` is the user's own address (with any +tag) or an alias that leads to the user."""
    found = lookup(sender)
    if isinstance(found, LocalUser):
        return found.id == user.id
    return isinstance(found, LocalAlias) and user.address in found.targets


def authenticate(username: str, password: str) -> LocalUser | None:
    """The user with this password who may log in and send, or None. Slow on purpose (Argon2): use a thread."""
    user = User.objects.select_related("domain").filter(email=username.strip().lower()).first()
    if user is None:
        # The same effort as for a user that exists, so that time tells nothing.
        make_password(password)
        return None
    if not user.check_password(password) or not user.is_active:
        return None
    found = lookup(user.email)
    return found if isinstance(found, LocalUser) and found.status.may_send else None


def _find(addresses: Sequence[str]) -> dict[str, LocalAddress | None]:
    """Users, aliases and lists at `addresses` (lower case), each table asked once."""
    plain = {address: _without_tag(address) for address in addresses}
    keys = {*plain.keys(), *plain.values(), *(_list_of_bounces(address) for address in addresses)}
    found: dict[str, LocalAddress] = {}
    for user in User.objects.select_related("domain").filter(email__in=keys, domain__isnull=False):
        found[user.email] = _local_user(user)
    for alias in (
        Alias.objects.select_related("domain").prefetch_related("targets").filter(address__in=keys, enabled=True)
    ):
        targets = tuple(sorted(target.address.lower() for target in alias.targets.all()))
        found[alias.address] = LocalAlias(alias.address, alias.domain.name, targets)
    lists: dict[str, LocalList] = {}
    members = Prefetch("members", ListMember.objects.filter(enabled=True).order_by("id"))
    for row in (
        MailingList.objects.select_related("domain", "owner__domain")
        .prefetch_related(members)
        .filter(address__in=keys, enabled=True)
    ):
        lists[row.address] = LocalList(
            row.pk, row.address, row.domain.name, tuple(member.address for member in row.members.all()),
            bounces_address(row.address), row.owner.email if row.owner else "", row.posting, row.subject_prefix,
        )  # fmt: skip
        found[row.address] = lists[row.address]
    answers: dict[str, LocalAddress | None] = {}
    for address in addresses:
        bounced = lists.get(_list_of_bounces(address))
        answers[address] = found.get(address) or found.get(plain[address])
        if answers[address] is None and bounced is not None:
            answers[address] = LocalAlias(address, bounced.domain, (bounced.owner,) if bounced.owner else ())
    return answers


def bounces_address(list_address: str) -> str:
    """The reverse-path of what a list sends."""
    local_part, _, domain = list_address.rpartition("@")
    return f"{local_part}-bounces@{domain}"


def _list_of_bounces(address: str) -> str:
    local_part, _, domain = address.rpartition("@")
    return f"{local_part.removesuffix('-bounces')}@{domain}" if local_part.endswith("-bounces") else ""


def _batched(addresses: Sequence[str], size: int) -> Iterator[list[str]]:
    """`addresses` in runs of `size`."""
    iterator = iter(addresses)
    while some := list(islice(iterator, size)):
        yield some


def _without_tag(address: str) -> str:
    local_part, _, domain = address.rpartition("@")
    return f"{local_part.partition('+')[0]}@{domain}"


_STRICTNESS = [Status.ENABLED, Status.RECEIVING, Status.DISABLED]


def _local_user(user: User) -> LocalUser:
    assert user.domain is not None
    status = max(Status(user.status), Status(user.domain.status), key=_STRICTNESS.index)
    return LocalUser(
        user.pk, user.email, user.domain.name, status, tuple(user.forward_addresses), user.forward_keeps_copy,
        user.mailbox_mb, user.max_message_kb or user.domain.max_message_kb,
        user.max_recipients or user.domain.max_recipients,
    )  # fmt: skip


def _postmaster(domain: LocalDomain) -> LocalAlias:
    """postmaster@ must take mail in every domain (RFC 5321 4.5.1): its administrators', else the system's."""
    people = User.objects.filter(domain__isnull=False)
    targets = list(people.filter(domain_id=domain.id, role=Role.DOMAIN_ADMINISTRATOR).values_list("email", flat=True))
    if not targets:
        targets = list(people.filter(role=Role.SYSTEM_ADMINISTRATOR).values_list("email", flat=True))
    return LocalAlias(f"postmaster@{domain.name}", domain.name, tuple(sorted(targets)))
