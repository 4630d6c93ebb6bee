"""What a process remembers of the directory, and how it notices that it is out of date.

Every change of the directory raises the one DirectoryStamp. What was read belongs to a *generation*: as soon as another
version is seen, a new generation begins, and what is still being read for the old one is never seen again. A thread
that has changed the directory in a transaction that is still open has a generation of its own, so that nothing
uncommitted gets to others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import F

from accounts.local_addresses import Answer, LocalAlias, LocalDomain, LocalList
from accounts.models import DirectoryStamp

FRESH_SECONDS = 1.0
# Answers without a query stop this much earlier, so that what an event loop has seen to be there is still there when
# it takes it.
MARGIN_SECONDS = 0.1
# Addresses, domains and list members together; looked at when the version is, so a second may add to it.
MOST_KEPT = 100_000


class Generation:
    """Answers of one version of the directory.

    `has_all_domains` says that `domains` are all there are, so that any other name is known not to be local; None
    when nobody has asked yet. `has_hourly_limits` says whether anybody has limits by the hour, in the same way.
    """

    __slots__ = ("addresses", "domains", "has_all_domains", "has_hourly_limits", "postmasters", "size")

    def __init__(self) -> None:
        self.domains: dict[str, LocalDomain | None] = {}
        self.has_all_domains: bool | None = None
        self.has_hourly_limits: bool | None = None
        self.addresses: dict[str, Answer] = {}
        self.postmasters: dict[str, LocalAlias] = {}
        self.size = 0

    def domain_if_known(self, name: str) -> tuple[bool, LocalDomain | None]:
        """Whether the answer for `name` is known, and what it is."""
        found = self.domains.get(name)
        return found is not None or bool(self.has_all_domains) or name in self.domains, found

    def add_domains(self, found: Mapping[str, LocalDomain | None]) -> None:
        self.domains.update(found)
        self.size += len(found)

    def add_addresses(self, found: Mapping[str, Answer]) -> None:
        self.addresses.update(found)
        self.size += len(found) + sum(len(answer.members) for answer in found.values() if type(answer) is LocalList)


@dataclass(slots=True)
class _OwnView:
    """What a thread has read within the transaction in which it changed the directory."""

    savepoints: tuple[str | None, ...]
    generation: Generation = field(default_factory=Generation)


class DirectoryCache:
    """The current generation. Safe to use from any thread; `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._generation = Generation()
        self._version: int | None = None
        self._checked = float("-inf")
        self._forgotten = 0
        self._refreshing = threading.Lock()
        self._own = threading.local()

    def current(self) -> Generation:
        """The generation to answer from. Reads the version when it was last read a second ago or more."""
        own = self._own_view()
        if own is not None:
            return own
        if self.clock() - self._checked >= FRESH_SECONDS:
            self._refresh()
        return self._generation

    def current_without_query(self) -> Generation | None:
        """The generation to answer from, or None when the version has to be read first."""
        if self.clock() - self._checked >= FRESH_SECONDS - MARGIN_SECONDS:
            return None
        return self._generation

    def forget(self) -> None:
        """Begin a new generation, and read the version before it is used."""
        if self._own_view() is not None:
            # What this thread has changed is still not for others to see.
            self._own.view = _OwnView(tuple(transaction.get_connection().savepoint_ids))
        self._forgotten += 1
        self._checked = float("-inf")
        self._generation = Generation()

    def changed(self) -> None:
        """Raise the version, once in a transaction, and tell every process so when the transaction is committed.

        The stamp's row stays locked until then: whoever calls this first in a transaction changes the directory alone.
        """
        connection = transaction.get_connection()
        if not self._is_told():
            _raise_version()
            transaction.on_commit(self._committed)
        if connection.in_atomic_block:
            self._own.view = _OwnView(tuple(connection.savepoint_ids))

    def _committed(self) -> None:
        self._own.view = None
        self.forget()

    def _refresh(self) -> None:
        with self._refreshing:
            # The time before the question: an answer is as old as its question, however long it took.
            now = self.clock()
            if now - self._checked < FRESH_SECONDS:
                return
            forgotten = self._forgotten
            reconnect_when_needed()
            version = DirectoryStamp.objects.filter(pk=1).values_list("version", flat=True).first()
            if version != self._version or self._generation.size > MOST_KEPT:
                self._generation = Generation()
            self._version = version
            if self._forgotten == forgotten:
                self._checked = now

    def _own_view(self) -> Generation | None:
        view: _OwnView | None = getattr(self._own, "view", None)
        if view is None:
            return None
        if not self._is_told():
            # Committed or rolled back.
            self._own.view = None
            return None
        savepoints = tuple(transaction.get_connection().savepoint_ids)
        if savepoints != view.savepoints:
            # What was seen in a savepoint may have been rolled back with it.
            view = self._own.view = _OwnView(savepoints)
        return view.generation

    def _is_told(self) -> bool:
        """Whether the open transaction has raised the version. A rolled back savepoint takes its callbacks along."""
        return any(callback[1] == self._committed for callback in transaction.get_connection().run_on_commit)


def reconnect_when_needed() -> None:
    """Drop this thread's database connection when it is broken or too old: no request does that for these threads."""
    connection = transaction.get_connection()
    # An age of 0 means "until the request's end": without requests it would be a new connection for each question.
    may_be_old = connection.settings_dict["CONN_MAX_AGE"] != 0
    if not connection.in_atomic_block and (connection.errors_occurred or may_be_old):
        connection.close_if_unusable_or_obsolete()


def _raise_version() -> None:
    while not DirectoryStamp.objects.filter(pk=1).update(version=F("version") + 1):
        # The first number is the time: a database that was emptied or restored doesn't come back to a version that
        # some process remembers.
        _, is_new = DirectoryStamp.objects.get_or_create(pk=1, defaults={"version": time.time_ns() // 1000})
        if is_new:
            return
