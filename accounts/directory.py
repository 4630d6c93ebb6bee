"""Who is local, what an address stands for, and who may send as whom.

Answers come from a cache of this process that is at most a second out of date; a cached answer costs no query.
Everything here is safe to call from any thread. In an event loop only what begins with `cached` is.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.hashers import make_password

from accounts import logins
from accounts.directory_cache import FRESH_SECONDS, DirectoryCache, Generation, reconnect_when_needed
from accounts.local_addresses import (
    Answer,
    Closed,
    LocalAddress,
    LocalAlias,
    LocalDomain,
    LocalList,
    LocalUser,
    bounces_address,
    can_be_stored,
    find_addresses,
    find_all_domains,
    find_any_hourly_limits,
    find_domains,
    find_postmaster,
    local_user,
    lookup_key,
)
from accounts.models import User
from accounts.sign_in import app_passwords

__all__ = [
    "FRESH_SECONDS",
    "MISS",
    "LocalAddress",
    "LocalAlias",
    "LocalDomain",
    "LocalList",
    "LocalUser",
    "Miss",
    "any_hourly_limits",
    "authenticate",
    "bounces_address",
    "cached",
    "cached_any_hourly_limits",
    "cached_domain",
    "changed",
    "forget",
    "local_domain",
    "local_domains",
    "lookup",
    "lookup_many",
    "may_send_as",
    "resolve",
    "resolve_many",
]


class Miss:
    """The answer of `cached` when a query would be needed."""


MISS = Miss()

_cache = DirectoryCache()


def forget() -> None:
    """Drop what this process remembers."""
    _cache.forget()


def changed() -> None:
    """Tell every process that domains, users, aliases or lists have changed, with the transaction's commit.

    Signals call it after each save and delete; whoever writes without signals (update, bulk_create) calls it as well.
    Called first in a transaction, it also keeps others from changing the directory until the end.
    """
    _cache.changed()


def local_domain(name: str) -> LocalDomain | None:
    """The local domain of that name, or None."""
    generation = _cache.current()
    key = _domain_key(name)
    is_known, found = generation.domain_if_known(key)
    return found if is_known else _domains(generation, {key})[key]


def local_domains(names: Iterable[str]) -> dict[str, LocalDomain | None]:
    """`local_domain` for many names, in a number of queries that does not grow with theirs."""
    keys = {name: _domain_key(name) for name in names}
    found = _domains(_cache.current(), set(keys.values()))
    return {name: found[key] for name, key in keys.items()}


def any_hourly_limits() -> bool:
    """Whether any domain, user or list has a limit by the hour."""
    generation = _cache.current()
    if generation.has_hourly_limits is None:
        reconnect_when_needed()
        generation.has_hourly_limits = find_any_hourly_limits()
    return generation.has_hourly_limits


def cached_any_hourly_limits() -> bool | Miss:
    """`any_hourly_limits` without a query: MISS when one would be needed."""
    generation = _cache.current_without_query()
    if generation is None or generation.has_hourly_limits is None:
        return MISS
    return generation.has_hourly_limits


def lookup(address: str) -> LocalAddress | None:
    """Who or what has this very address (or the one before a `+tag`); no catch-all."""
    return _open(_answer(_cache.current(), lookup_key(address)))


def lookup_many(addresses: Iterable[str]) -> dict[str, LocalAddress | None]:
    """`lookup` for many addresses, in a number of queries that does not grow with theirs."""
    keys = {address: lookup_key(address) for address in addresses}
    answers = _answers(_cache.current(), set(keys.values()))
    return {address: _open(answers[key]) for address, key in keys.items()}


def resolve(address: str) -> LocalAddress | None:
    """Who gets mail for `address` in a local domain: as `lookup`, else postmaster's stand-in, else the catch-all."""
    generation = _cache.current()
    key = lookup_key(address)
    found = _answer(generation, key)
    return _instead(generation, key) if found is None else _open(found)


def resolve_many(addresses: Iterable[str]) -> dict[str, LocalAddress | None]:
    """`resolve` for many addresses. The number of queries grows with that of postmasters at most."""
    generation = _cache.current()
    keys = {address: lookup_key(address) for address in addresses}
    answers = _answers(generation, set(keys.values()))
    homeless = {key for key in keys.values() if answers[key] is None}
    domains = _domains(generation, {_domain_of(key) for key in homeless})
    _answers(generation, {domain.catch_all for domain in domains.values() if domain is not None and domain.catch_all})
    found = {key: _instead(generation, key) if key in homeless else _open(answer) for key, answer in answers.items()}
    return {address: found[key] for address, key in keys.items()}


def cached(address: str) -> LocalAddress | Miss | None:
    """`lookup` without a query: MISS when one would be needed."""
    generation = _cache.current_without_query()
    if generation is None:
        return MISS
    key = lookup_key(address)
    is_known, domain = generation.domain_if_known(_domain_of(key))
    if is_known and domain is None:
        return None
    found = generation.addresses.get(key, MISS)
    return found if isinstance(found, Miss) else _open(found)


def cached_domain(name: str) -> LocalDomain | Miss | None:
    """`local_domain` without a query: MISS when one would be needed."""
    generation = _cache.current_without_query()
    if generation is None:
        return MISS
    is_known, found = generation.domain_if_known(_domain_key(name))
    return found if is_known else MISS


def may_send_as(user: LocalUser, sender: str) -> bool:
    """Whether `sender` is the user's own address (with any +tag) or an alias with the user among its targets.

    That is what is the user's own; what the user may send as besides is for accounts.sending.
    False as well when the user may not send any more, whatever was true when the session began.
    """
    me = lookup(user.address)
    if not isinstance(me, LocalUser) or me.id != user.id or not me.status.may_send:
        return False
    found = lookup(sender)
    if isinstance(found, LocalUser):
        return found.id == user.id
    if not isinstance(found, LocalAlias):
        return False
    domain = local_domain(found.domain)
    if domain is None or not domain.status.may_send:
        return False
    targets = lookup_many(found.targets).values()
    return any(isinstance(target, LocalUser) and target.id == user.id for target in targets)


def authenticate(username: str, password: str) -> LocalUser | None:
    """The user with this password who may log in and send, or None. Slow on purpose (Argon2): use a thread.

    Application passwords are not asked for: `authenticate_quickly` knows them all.
    """
    user = _user(username)
    if user is None:
        # The same effort as for a user that exists, so that time tells nothing.
        make_password(password)
        return None
    if not logins.is_right(user, password):
        return None
    return _who_may_use_password(user)


def authenticate_quickly(username: str, password: str, ip: str = "") -> tuple[bool, LocalUser | None]:
    """Whether it is known without the effort of `authenticate` who that is, and who: an application password, or the
    account's own that was right not long ago. A query, and another for what looks like the former: use a thread.
    """
    user = _user(username)
    if user is None:
        return False, None
    if app_passwords.is_right(user, password, ip):
        return True, _who_may_log_in(user)
    if not logins.is_remembered(user, password):
        return False, None
    return True, _who_may_use_password(user)


def _user(username: str) -> User | None:
    key = lookup_key(username.strip())
    reconnect_when_needed()
    return User.objects.select_related("domain").filter(email=key).first() if can_be_stored(key) else None


def _who_may_log_in(user: User) -> LocalUser | None:
    return local_user(user) if user.domain is not None and user.is_active else None


def _who_may_use_password(user: User) -> LocalUser | None:
    """The same of who has shown the account's own password."""
    return None if app_passwords.refuses_password(user) else _who_may_log_in(user)


def _answer(generation: Generation, key: str) -> Answer:
    if key in generation.addresses:
        return generation.addresses[key]
    return _answers(generation, {key})[key]


def _answers(generation: Generation, keys: set[str]) -> dict[str, Answer]:
    """An answer for each key, from the generation as far as it knows. Only local domains are asked about."""
    domains = _domains(generation, {_domain_of(key) for key in keys})
    answers: dict[str, Answer] = {}
    missing = []
    for key in keys:
        if domains[_domain_of(key)] is None:
            answers[key] = None
        elif key in generation.addresses:
            answers[key] = generation.addresses[key]
        else:
            missing.append(key)
    if missing:
        reconnect_when_needed()
        found = find_addresses(sorted(missing))
        generation.add_addresses(found)
        answers.update(found)
    return answers


def _domains(generation: Generation, names: set[str]) -> dict[str, LocalDomain | None]:
    if generation.has_all_domains is None:
        reconnect_when_needed()
        every = find_all_domains()
        generation.add_domains(every or {})
        generation.has_all_domains = every is not None
    if generation.has_all_domains:
        return {name: generation.domains.get(name) for name in names}
    missing = [name for name in names if name not in generation.domains]
    if not missing:
        return {name: generation.domains[name] for name in names}
    reconnect_when_needed()
    found = find_domains(sorted(missing))
    generation.add_domains(found)
    return {name: found[name] if name in found else generation.domains[name] for name in names}


def _instead(generation: Generation, key: str) -> LocalAddress | None:
    """Who takes the mail of an address that nobody has."""
    local_part, _, name = key.rpartition("@")
    domain = _domains(generation, {name})[name]
    if domain is None:
        return None
    if local_part == "postmaster":
        return _postmaster(generation, domain)
    if domain.catch_all and domain.catch_all != key:
        return _open(_answer(generation, domain.catch_all)) or LocalAlias(key, name, (domain.catch_all,))
    return None


def _postmaster(generation: Generation, domain: LocalDomain) -> LocalAlias:
    found = generation.postmasters.get(domain.name)
    if found is None:
        found = generation.postmasters[domain.name] = find_postmaster(domain)
    return found


def _open(answer: Answer) -> LocalAddress | None:
    return None if isinstance(answer, Closed) else answer


def _domain_of(key: str) -> str:
    return key.rpartition("@")[2]


def _domain_key(name: str) -> str:
    return lookup_key(f"x@{name}")[2:]
