"""What administrators choose by domain, mail hosts and provider (DestinationRule): read now and then, kept in memory.

Field by field the most specific rule that says something holds: of the domain itself, of the nearest `*.parent`, of the
set of mail hosts, of what their names end with, of the provider, of all. Without rules a message costs a look whether
there are some.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

from django.core.exceptions import ValidationError
from django.db import Error as DatabaseError

from base.short_cache import ShortCache
from spool.delivery.shaping.classes import ReplyClass
from spool.models.destination_rule import (
    USUAL,
    DestinationRule,
    RuleScope,
    RuleTLS,
    Schedule,
    parse_by_error,
    parse_sources,
)

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 2.0
# Of domains and sites whose rules are kept at hand.
MOST_KEPT: Final = 20_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule:
    """One that is in force, its texts read. `title` is for whose mail it is, `pk` its row."""

    pk: int
    title: str
    scope: RuleScope
    name: str
    schedule: Schedule = USUAL
    by_error: Mapping[ReplyClass, Schedule] = field(default_factory=dict, hash=False)
    connections: int | None = None
    messages: int | None = None
    rate: int | None = None
    tls: RuleTLS | None = None
    sources: tuple[str, ...] = ()
    suspended_until: datetime | None = None
    suspended_reason: str = ""
    by: str = ""

    @property
    def limits_something(self) -> bool:
        return self.rate is not None or self.connections is not None or self.suspended_until is not None

    @property
    def has_schedules(self) -> bool:
        return self.schedule.says_something or bool(self.by_error)


@dataclass(frozen=True, slots=True)
class Ruled:
    """The limits that rules set for a site, or for a domain. `name` is whose mail is suspended, and `reason` why."""

    rate: int | None = None
    connections: int | None = None
    suspended_until: datetime | None = None
    name: str = ""
    reason: str = ""

    def suspended(self, now: datetime) -> datetime | None:
        """None when it is not, or is over."""
        until = self.suspended_until
        return until if until is not None and until > now else None

    @property
    def is_on(self) -> bool:
        return self.rate is not None or self.connections is not None or self.suspended(datetime.now(UTC)) is not None


NOTHING: Final = Ruled()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rules that a message, or a site, is under: the most specific first."""

    rules: tuple[Rule, ...] = ()

    def first(self, says: Callable[[Rule], T | None]) -> tuple[T, Rule] | None:
        """What the most specific rule that says something says, and which one that is."""
        for rule in self.rules:
            if value := says(rule):
                return value, rule
        return None

    def value(self, says: Callable[[Rule], T | None]) -> T | None:
        found = self.first(says)
        return found[0] if found is not None else None

    def schedule(self, error: ReplyClass) -> tuple[Schedule, bool]:
        """What is said of such an error, and whether that is for it alone.

        A rule's word about the error goes before its word about any; both before a less specific rule.
        """
        intervals, lifetime, for_it = None, None, False
        for rule in self.rules:
            for schedule in (rule.by_error.get(error), rule.schedule):
                if schedule is None:
                    continue
                if intervals is None and schedule.intervals is not None:
                    intervals, for_it = schedule.intervals, schedule is not rule.schedule
                if lifetime is None:
                    lifetime = schedule.lifetime
        return Schedule(intervals, lifetime), for_it

    @property
    def ruled(self) -> Ruled:
        """Its limits."""
        suspended = self.first(lambda rule: rule.suspended_until)
        rate, connections = self.value(lambda rule: rule.rate), self.value(lambda rule: rule.connections)
        if suspended is None:
            return Ruled(rate, connections) if rate or connections else NOTHING
        until, rule = suspended
        return Ruled(rate, connections, until, rule.title, rule.suspended_reason)


NO_CHOICE: Final = Chosen()


class RuleBook:
    """All rules in force, as they were read. Safe to use from several threads: what is kept is only looked up again."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._by_domain = {rule.name: rule for rule in self.rules if rule.scope is RuleScope.DOMAIN}
        self._by_hosts = {rule.name: rule for rule in self.rules if rule.scope is RuleScope.HOSTS}
        self._by_provider = {rule.name.lower(): rule for rule in self.rules if rule.scope is RuleScope.PROVIDER}
        self._of_all = tuple(rule for rule in self.rules if rule.scope is RuleScope.ALL)
        self.has_schedules = any(rule.has_schedules for rule in self.rules)
        # Two books that say the same are the same to who keeps connections by what was agreed on.
        self.version = f" rules {hash(self.rules) & 0xFFFFFFFF:x}" if self.rules else ""
        self._of_domains: dict[str, tuple[Rule, ...]] = {}
        self._of_sites: dict[str, Chosen] = {}
        self._limits: dict[str, Ruled] = {}

    def __bool__(self) -> bool:
        return bool(self.rules)

    def of_mail(self, domain: str, site: str) -> Chosen:
        """The rules for a domain's mail that goes to a site; empty: which one is not known."""
        if not self.rules:
            return NO_CHOICE
        own, other = self.of_domain(domain), self.of_site(site)
        return Chosen(own + other.rules) if own else other

    def of_site(self, site: str) -> Chosen:
        """Those for all mail that goes there."""
        if not self.rules:
            return NO_CHOICE
        found = self._of_sites.get(site)
        if found is None:
            found = _keep(
                self._of_sites, site, Chosen((*self._for_hosts(site), *self._for_provider(site), *self._of_all))
            )
        return found

    def limits_of_site(self, site: str) -> Ruled:
        if not self.rules:
            return NOTHING
        found = self._limits.get(site)
        return found if found is not None else _keep(self._limits, site, self.of_site(site).ruled)

    def limits_of_domain(self, domain: str) -> Ruled:
        """Those that rules for the domain itself set, and that count for it alone."""
        return Chosen(self.of_domain(domain)).ruled if self._by_domain else NOTHING

    def of_domain(self, domain: str) -> tuple[Rule, ...]:
        """Rules for the domain itself and for what it is in."""
        if not self._by_domain:
            return ()
        found = self._of_domains.get(domain)
        return found if found is not None else _keep(self._of_domains, domain, tuple(self._for_domain(domain)))

    def _for_domain(self, domain: str) -> Iterator[Rule]:
        labels = domain.lower().split(".")
        for pattern in (domain.lower(), *("*." + ".".join(labels[i:]) for i in range(1, len(labels)))):
            if pattern in self._by_domain:
                yield self._by_domain[pattern]

    def _for_hosts(self, site: str) -> Iterator[Rule]:
        if not self._by_hosts or "." not in site:
            return
        if "…" in site:
            # Of a name that was cut the last host is not whole.
            site = site.partition("…")[0].rpartition(" ")[0]
        # A route's is `host:port`.
        hosts = [host.rpartition(":")[0] if ":" in host else host for host in site.split(" ")]
        if (exact := self._by_hosts.get(" ".join(sorted(hosts)))) is not None:
            yield exact
        labels = hosts[0].split(".")
        for number in range(1, len(labels)):
            ending = "." + ".".join(labels[number:])
            rule = self._by_hosts.get("*" + ending)
            if rule is not None and all(host.endswith(ending) for host in hosts):
                yield rule

    def _for_provider(self, site: str) -> Iterator[Rule]:
        if (rule := self._by_provider.get(site.lower())) is not None:
            yield rule


def _keep(kept: dict[str, T], name: str, value: T) -> T:
    if len(kept) >= MOST_KEPT:
        kept.clear()
    kept[name] = value
    return value


NO_RULES: Final = RuleBook()
_complaints: dict[int, str] = {}


def read() -> RuleBook:
    """One query. A row that can't be read is left out, and said in the log: mail goes on as if it were not there."""
    book = RuleBook(rule for row in DestinationRule.objects.filter(enabled=True) if (rule := _rule(row)) is not None)
    # One that says the same stays, with what is kept in it.
    before = _cache.last
    return before if before is not None and before.rules == book.rules else book


def _rule(row: DestinationRule) -> Rule | None:
    try:
        return rule_of(row)
    except (ValidationError, ValueError, TypeError) as error:
        said = f"the rule for {row} can't be read, and is left out: {error}"
        if _complaints.get(row.pk) != said:
            # Not with each look.
            _complaints[row.pk] = said
            log.error("%s", said)
        return None


def rule_of(row: DestinationRule) -> Rule:
    """A suspension that is over says nothing. Raises ValidationError or ValueError."""
    until = row.suspended_until
    return Rule(
        row.pk,
        row.title,
        RuleScope(row.scope),
        row.name,
        row.schedule,
        {ReplyClass(name): schedule for name, schedule in parse_by_error(row.by_error).items()},
        row.connections,
        row.messages_per_connection,
        row.rate_per_minute,
        RuleTLS(row.tls) if row.tls else None,
        parse_sources(row.source_addresses),
        until if until is not None and until > datetime.now(UTC) else None,
        row.suspended_reason,
        row.by,
    )


# While the table can't be read, what it said before holds.
_cache = ShortCache(FRESH_SECONDS, read, outlasts=(DatabaseError,), name="rules for destinations")


def cached() -> RuleBook:
    """The rules, read at most every FRESH_SECONDS by each process. May query: not for event loops."""
    return _cache.current()


def forget() -> None:
    """Drop this process's copy."""
    _cache.forget()
