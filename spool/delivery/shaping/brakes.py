"""What one worker knows of the limits of sites while it delivers: in memory, for the event loop.

A refusal takes effect here at once, and in other workers as soon as it is written down (spool.delivery.shaping.limits).
Where nothing is limited a transaction costs a look into a dictionary and a count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from spool.delivery.replies import Reply
from spool.delivery.shaping import limits, pace
from spool.delivery.shaping.classes import ReplyClass, classify
from spool.delivery.shaping.domains import Found
from spool.delivery.shaping.encryption import Seen
from spool.delivery.shaping.limits import About, Key, Limits, Report, Table
from spool.delivery.shaping.meter import Meter
from spool.delivery.shaping.pace import Timing
from spool.delivery.shaping.rules import NO_RULES, NOTHING, RuleBook, Ruled
from spool.delivery.shaping.warm_up import Allowances

# So long a connection waits for its turn; what has a later one is put off.
PATIENCE_SECONDS: Final = 4.0
# Nothing is put off for longer by a rate, which may be raised meanwhile.
LONGEST_WAIT_SECONDS: Final = 3600.0
# Without a rate: what met a limit of connections.
SHORT_WAIT_SECONDS: Final = 15.0
# So many refusals of our address in a row, after a recipient was named: one of them may be one recipient's own rule.
MOST_REFUSALS: Final = 3
# A rate is used when so much of it is.
MOSTLY: Final = 0.7
MOST_DOMAINS: Final = 1000
MOST_LET_GO: Final = 1000
MANY_SITES: Final = 5000
BRAKING: Final = frozenset({ReplyClass.RATE, ReplyClass.CONNECTIONS, ReplyClass.REPUTATION})
SLOWED, SUSPENDED = "slowed: ", "suspended: "
# What was refused or reported here a moment ago may not stand in the table yet.
_SETTLING_SECONDS: Final = 5.0
_BUCKETS: Final = 6

# To be called in a transaction soon; and: have some mail tried now that waits for these domains (none: any) for one of
# these reasons, at most so much.
Later = Callable[[Callable[[], None]], None]
Pull = Callable[[Sequence[str], Sequence[str], int], None]


@dataclass(slots=True)
class Progress:
    """How it went lately with a site. Moments are of the monotonic clock."""

    # The cohort: since when, how much was taken, whether mail waited for its turn, whether nothing was refused.
    since: float = 0.0
    passed: int = 0
    waited: bool = False
    clean: bool = False
    # Whether nothing was taken since the last refusal for the rate, and how many of our address came in a row.
    again: bool = False
    refusals: int = 0
    # Who is put off next is due then, and when somebody has a turn.
    line: float = 0.0
    next_turn: float = 0.0


@dataclass(slots=True, eq=False)
class SiteBrake:
    """One site from one source address. Moments are of the monotonic clock unless they are datetimes."""

    key: Key
    brakes: Brakes
    limits: Limits = field(default_factory=Limits)
    # What rules say besides.
    ruled: Ruled = NOTHING
    _meter: Meter | None = None
    # Messages taken, by buckets of a cohort.
    _taken: list[int] = field(default_factory=lambda: [0] * _BUCKETS)
    _bucket: int = 0
    progress: Progress = field(default_factory=Progress)
    _busy_since: float = 0.0
    _changed: float = -math.inf
    _pulled: float = 0.0
    _domains: dict[str, None] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """Whether anything is limited."""
        return (
            self.rate is not None
            or self.connections is not None
            or self.suspended_until is not None
            or self.ruled.connections is not None
            or self.is_new
        )

    @property
    def is_new(self) -> bool:
        """Whether our address is in its warm-up."""
        return self.key.source in self.brakes.allowances.plan.allowed

    @property
    def rate(self) -> float | None:
        """Messages a minute, over all workers."""
        own, ruled = self.own_rate, self.ruled.rate
        if own is None or ruled is None:
            return ruled if own is None else own
        return min(own, ruled)

    @property
    def own_rate(self) -> float | None:
        """The same, whatever rules say: what was learned, or said of the site by hand."""
        return self.limits.rate(is_active=self.brakes.is_active)

    @property
    def connections(self) -> int | None:
        """Connections, over all workers; whatever rules say."""
        return self.limits.connections(is_active=self.brakes.is_active)

    @property
    def messages(self) -> int | None:
        """Over one connection."""
        return self.limits.messages(is_active=self.brakes.is_active)

    @property
    def suspended_until(self) -> datetime | None:
        """None when it is not, or is over."""
        learned, ruled = self.limits.learned.suspended_until, self.ruled.suspended_until
        if learned is None and ruled is None and not self.is_new:
            return None
        now = datetime.now(UTC)
        moments = (
            self.limits.suspended_until(now, is_active=self.brakes.is_active),
            self.ruled.suspended(now),
            self.brakes.allowances.spent(self.key),
        )
        return max((until for until in moments if until is not None), default=None)

    @property
    def reason(self) -> str:
        """Why mail waits, in words that do not change while it does."""
        slowed, suspended, by_hand = reasons(self.key.site)
        if self.suspended_until is None:
            return slowed
        if self.ruled.suspended(datetime.now(UTC)) is not None:
            return suspended_by_rule(self.ruled.name, self.ruled.reason)
        if self.is_new and self.limits.suspended_until(datetime.now(UTC), is_active=self.brakes.is_active) is None:
            return f"{SUSPENDED}our address is new, and its warm-up allows no more mail to {_short(self.key.site)}"
        return by_hand if self.limits.suspended_by_hand else suspended

    def puts_off(self, queued: int, *, but_ruled: bool = False) -> bool:
        """Whether a message behind so many others has its turn only after a while. `but_ruled`: whatever rate rules
        set here, for another one holds.
        """
        if self.suspended_until is not None:
            return True
        rate = self.own_rate if but_ruled else self.rate
        return rate is not None and queued >= max(1.0, rate / 60 * PATIENCE_SECONDS / self.brakes.share)

    def due(self, domain: str, position: int | None = None) -> datetime:
        """Until when the next message is put off: one after the other, at the pace there is. `position` is its place in
        a queue, which is before all that was put off while that was there.
        """
        if len(self._domains) <= MOST_DOMAINS:
            self._domains[domain] = None
        if (until := self.suspended_until) is not None:
            if self.ruled.suspended_until is None and not self.is_new:
                return until
            # A rule, or a warm-up, may be changed any time: then nothing is to wait for what it said before.
            return min(until, datetime.now(UTC) + timedelta(seconds=LONGEST_WAIT_SECONDS))
        now, rate = time.monotonic(), self.rate
        if rate is None:
            return datetime.now(UTC) + timedelta(seconds=SHORT_WAIT_SECONDS)
        between, progress = 60 / rate * self.brakes.share, self.progress
        # With few turns the first of each worker tries for the next one, whoever has it.
        has_few = 60 / rate > PATIENCE_SECONDS
        step = 60 / rate if has_few else between
        if position is None:
            # What is queued has its turn, or is put off, before.
            before = now + PATIENCE_SECONDS + max(PATIENCE_SECONDS, step)
            progress.line = due = max(progress.line, before) + between
        else:
            first = progress.next_turn if has_few and progress.next_turn > now else now + step
            due = first + position * between
            progress.line = max(progress.line, due)
        return datetime.now(UTC) + timedelta(seconds=min(due - now, LONGEST_WAIT_SECONDS))

    def takes(self) -> bool:
        """Count a message of a new address; False when it is one too many."""
        if self.brakes.allowances.spent(self.key) is not None:
            return False
        self.brakes.allowances.take(self.key)
        return True

    async def turn(self, wanted: int, *, but_ruled: bool = False) -> bool:
        """Wait for a turn to send a message; False when there is none soon."""
        if self.is_new and self.brakes.allowances.spent(self.key) is not None:
            return False
        rate = self.own_rate if but_ruled else self.rate
        if rate is None:
            return True
        began = time.monotonic()
        missing = await self._metered().turn(rate, wanted, PATIENCE_SECONDS, self.brakes.share)
        progress, now = self.progress, time.monotonic()
        progress.waited = progress.waited or missing > 0 or now - began > 0.002
        progress.next_turn = now + missing if missing > 0 else 0.0
        return missing <= 0

    def took(self, *, is_full: bool) -> None:
        """A message was taken. `is_full`: all connections that there may be were in use, and somebody waited."""
        now = time.monotonic()
        progress = self.progress
        self._count(now)
        progress.again, progress.refusals = False, 0
        progress.passed += 1
        if not self.limits.learned.limits_something:
            return
        timing = self.brakes.timing
        if now - progress.since >= timing.cohort:
            if progress.clean and progress.waited and self._is_used(now - progress.since):
                self._report(self._said(About.COHORT))
            progress.since, progress.passed, progress.clean, progress.waited = now, 0, True, False
        if not is_full or self.limits.learned.connections is None:
            self._busy_since = now
        elif now - self._busy_since >= timing.connections:
            self._busy_since = now
            self._report(self._said(About.BUSY))

    def refused(
        self, reply: Reply, domain: str, host: str, open_now: int, *, at_once: bool, carried: int = 0
    ) -> ReplyClass:
        """What a refusal is about, and what follows. `at_once`: it came before a recipient was named; `carried`: so
        many messages went over the connection before.
        """
        is_about = classify(reply.code, reply.enhanced, reply.text)
        said = replace(
            self._said(About.REFUSED), code=reply.code, text=reply.text, domain=domain, host=host, carried=carried
        )
        if is_about is ReplyClass.MESSAGES:
            if carried and (self.limits.learned.messages or math.inf) > carried:
                self._report(replace(said, is_about=is_about))
            if carried:
                return is_about
            # Not even one.
            is_about = ReplyClass.RATE
        if is_about not in BRAKING:
            return is_about
        now, progress = time.monotonic(), self.progress
        if not self.limits.learned.limits_something:
            progress.line = 0.0
        self.brakes.keep(self)
        if is_about is ReplyClass.REPUTATION:
            progress.refusals += 1
            suspended_before = self.limits.learned.suspensions > 0
            if not (at_once or suspended_before or progress.refusals >= MOST_REFUSALS):
                return is_about
        progress.clean, progress.since, progress.passed, self._busy_since = False, now, 0, now
        report = replace(said, is_about=is_about, open_now=open_now * self.brakes.share, again=progress.again)
        progress.again = is_about is ReplyClass.RATE
        self._report(report)
        learned = self.limits.learned
        if is_about is ReplyClass.RATE and self.rate is not None and learned.paused_until is not None:
            self._metered().pause(max(0.0, (learned.paused_until - datetime.now(UTC)).total_seconds()))
        return is_about

    def pull(self) -> None:
        """There is room for more than is here: have some of what was put off tried now."""
        rate, now = self.rate, time.monotonic()
        if rate is None or now - self._pulled < 1.0 or self.suspended_until is not None:
            return
        self._pulled = now
        domains = [] if len(self._domains) > MOST_DOMAINS else list(self._domains)
        self.brakes.pull(domains, reasons(self.key.site), 1 + math.ceil(rate / 60 * 2 / self.brakes.share))

    def found(self, limits: Limits) -> None:
        """What stands in the table."""
        if time.monotonic() - self._changed >= _SETTLING_SECONDS or _newer(limits, self.limits):
            before, self.limits = self.limits, limits
            is_resumed = before.learned.suspended_until is not None and limits.learned.suspended_until is None
            had_rate, has_rate = (one.rate(is_active=True) is not None for one in (before, limits))
            if is_resumed or (had_rate and not has_rate):
                self._let_go(reasons(self.key.site))

    def follows(self, ruled: Ruled) -> None:
        """What rules say from now on."""
        before, self.ruled = self.ruled, ruled
        is_resumed = before.suspended_until is not None and ruled.suspended_until is None
        if is_resumed or (before.rate is not None and ruled.rate is None):
            self._let_go([*reasons(self.key.site), suspended_by_rule(before.name, before.reason)])

    def _let_go(self, reasons: Sequence[str]) -> None:
        """What ended a limit has had the mail tried that waited for it; what was put off here since, for that was not
        known yet, is tried now.
        """
        if self._domains:
            domains = [] if len(self._domains) > MOST_DOMAINS else list(self._domains)
            self._domains.clear()
            self.brakes.pull(domains, reasons, MOST_LET_GO)

    @property
    def forgettable(self) -> bool:
        return self.limits == Limits() and time.monotonic() - self._bucket * self.brakes.timing.cohort > 600

    def _metered(self) -> Meter:
        if self._meter is None:
            self._meter = Meter(f"{self.key.site}|{self.key.source}")
        return self._meter

    def _is_used(self, seconds: float) -> bool:
        """Whether nearly as much was sent as may be: a rate that nobody reaches says nothing of a higher one."""
        rate = self.limits.learned.rate
        return rate is not None and (self.progress.passed + 1) * 60 / seconds * self.brakes.share >= MOSTLY * rate

    def _said(self, about: About) -> Report:
        return Report(self.key, about, datetime.now(UTC), took=self._per_minute() * self.brakes.share)

    def _report(self, report: Report) -> None:
        timing, dry = self.brakes.timing, not self.brakes.is_active
        self._changed = time.monotonic()
        self.limits = replace(self.limits, learned=limits.after(self.limits.learned, report, timing, dry=dry))
        self.brakes.report(report)

    def _count(self, now: float) -> None:
        self._turn_over(now)
        self._taken[self._bucket % _BUCKETS] += 1

    def _turn_over(self, now: float) -> None:
        bucket = int(now / self.brakes.timing.cohort)
        for number in range(max(self._bucket + 1, bucket - _BUCKETS + 1), bucket + 1):
            self._taken[number % _BUCKETS] = 0
        self._bucket = bucket

    def _per_minute(self) -> float:
        self._turn_over(time.monotonic())
        return sum(self._taken) * 60 / (_BUCKETS * self.brakes.timing.cohort)


def reasons(site: str) -> tuple[str, str, str]:
    """Why mail for a site waits: for its turn, for a suspension, for one by hand. Mail is found by them again."""
    name = _short(site)
    return (
        f"{SLOWED}{name} takes only so much mail from us at a time",
        f"{SUSPENDED}{name} does not take mail from our address",
        f"{SUSPENDED}an administrator has suspended mail for {name}",
    )


def _short(site: str) -> str:
    return site.partition(" ")[0] if "." in site else site


def suspended_by_rule(name: str, reason: str) -> str:
    """Why mail waits that a rule for `name` suspends."""
    return f"{SUSPENDED}an administrator has suspended mail for {name}{f': {reason}' if reason else ''}"


@dataclass(slots=True)
class Both:
    """The limits of a domain by rules of its own, and those of the site that its mail goes to, where there are any.

    A rate of the domain's own stands in the place of one that rules set for the site, and not of what was learned.
    """

    domain: SiteBrake
    site: SiteBrake | None

    @property
    def suspended_until(self) -> datetime | None:
        moments = (self.domain.suspended_until, self.site.suspended_until if self.site is not None else None)
        return max((until for until in moments if until is not None), default=None)

    @property
    def reason(self) -> str:
        return self._holding.reason

    def puts_off(self, queued: int) -> bool:
        return self.domain.puts_off(queued) or (
            self.site is not None and self.site.puts_off(queued, but_ruled=self._has_own_rate)
        )

    def due(self, domain: str, position: int | None = None) -> datetime:
        return self._holding.due(domain, position)

    async def turn(self, wanted: int) -> bool:
        # A turn of the domain that is not used after all is no loss: the next one is not far.
        return await self.domain.turn(wanted) and (
            self.site is None or await self.site.turn(wanted, but_ruled=self._has_own_rate)
        )

    def pull(self) -> None:
        self.domain.pull()
        if self.site is not None:
            self.site.pull()

    @property
    def _has_own_rate(self) -> bool:
        return self.domain.ruled.rate is not None

    @property
    def _holding(self) -> SiteBrake:
        """The one that holds more."""
        if self.site is None or self.domain.suspended_until is not None:
            return self.domain
        if self.site.suspended_until is not None or self.domain.rate is None:
            return self.site
        other = self.site.own_rate
        return self.site if other is not None and other < self.domain.rate else self.domain


class Brakes:
    """All sites of one worker."""

    def __init__(
        self,
        later: Later | None = None,
        pull: Pull | None = None,
        timing: Timing = pace.TIMING,
        kept: dict[Key, Progress] | None = None,
    ) -> None:
        """`kept` is what those before it in the same process knew of sites that refused something."""
        self._later = later
        self._found = Found(later) if later is not None else None
        self._seen = Seen(later) if later is not None else None
        self._pull = pull
        self.allowances = Allowances(later)
        self.timing = timing
        self.share = 1
        self.is_active = True
        self._table = Table()
        self._rules = NO_RULES
        self._sites: dict[Key, SiteBrake] = {}
        self._kept: dict[Key, Progress] = {} if kept is None else kept
        # By rules for them.
        self._domains: dict[str, SiteBrake] = {}
        self._tidy_at = MANY_SITES

    def configure(self, table: Table, *, is_active: bool, share: int, rules: RuleBook | None = None) -> None:
        """The limits as they are now; `share` is how many workers keep them together. Not `is_active`: those that were
        learned are in force nowhere, and learned all the same. Without `rules` they are as they were.
        """
        self.is_active, self.share = is_active, max(1, share)
        if rules is not None and rules is not self._rules:
            self._rules = rules
            for key, site in self._sites.items():
                site.follows(rules.limits_of_site(key.site))
            for domain, site in self._domains.items():
                site.follows(rules.limits_of_domain(domain))
            self._domains = {domain: site for domain, site in self._domains.items() if site.ruled is not NOTHING}
        if table is self._table:
            return
        self._table = table
        for key, site in self._sites.items():
            site.found(table.limits.get(key, Limits()))

    def of(self, key: Key) -> SiteBrake:
        """What is known of a site."""
        site = self._sites.get(key)
        if site is None:
            if len(self._sites) >= self._tidy_at:
                self._sites = {key: site for key, site in self._sites.items() if not site.forgettable}
                self._tidy_at = max(MANY_SITES, 2 * len(self._sites))
            limits, ruled = self._table.limits.get(key, Limits()), self._rules.limits_of_site(key.site)
            site = self._sites[key] = SiteBrake(key, self, limits, ruled)
            site.progress = self._kept.get(key, site.progress)
            if limits.learned.limits_something:
                self.keep(site)
        return site

    def keep(self, site: SiteBrake) -> None:
        """Have it known how it went with a site, whoever is next in this process."""
        if len(self._kept) >= MANY_SITES:
            self._kept.clear()
        self._kept[site.key] = site.progress

    def suspended(self, site: str, source: str) -> datetime | None:
        """Until when nothing is sent to a site from an address of ours; None: it is."""
        brake = self.limiting(limits.key_of(site, source))
        return brake.suspended_until if brake is not None else None

    def of_domain(self, domain: str) -> SiteBrake | None:
        """What rules for a domain say, if they limit anything."""
        ruled = self._rules.limits_of_domain(domain)
        if ruled is NOTHING:
            return None
        brake = self._domains.get(domain)
        if brake is None:
            if len(self._domains) >= MANY_SITES:
                # Who had turns is known in Redis.
                self._domains.clear()
            brake = self._domains[domain] = SiteBrake(Key(domain), self, ruled=ruled)
        return brake

    def messages(self, key: Key) -> int:
        """How many may go over one connection, as was learned; 0: any number."""
        site = self._sites.get(key)
        found = site.limits if site is not None else self._table.limits.get(key)
        return (found.messages(is_active=self.is_active) or 0) if found is not None else 0

    def serves(self, key: Key, domain: str) -> None:
        """Mail for a domain goes to that site: pages and commands name it by that."""
        if self._found is not None:
            self._found.add(domain, key)

    def connected(self, key: Key, domain: str, host: str, tls: str) -> None:
        """A connection for that domain's mail was opened; `tls` says how it is encrypted."""
        if self._seen is not None:
            self._seen.add(key, domain, host, tls)

    def limiting(self, key: Key | None) -> SiteBrake | None:
        """The same, when anything is limited there."""
        if key is None:
            return None
        site = self._sites.get(key)
        if site is None:
            is_limited = key in self._table.limits or key.source in self.allowances.plan.allowed
            if not is_limited and self._rules.limits_of_site(key.site) is NOTHING:
                return None
            site = self.of(key)
        return site if site.is_on else None

    def report(self, report: Report) -> None:
        if self._later is not None:
            self._later(partial(limits.apply, [report], self.timing, dry=not self.is_active))

    def pull(self, domains: Sequence[str], reasons: Sequence[str], count: int) -> None:
        if self._pull is not None:
            self._pull(domains, reasons, count)


def _newer(found: Limits, known: Limits) -> bool:
    """Whether what was found is later than what is known here."""
    moments = [
        max(
            (at for at in (one.learned.rate_changed, one.learned.connections_changed, one.learned.refused) if at),
            default=None,
        )
        for one in (found, known)
    ]
    return moments[0] is not None and (moments[1] is None or moments[0] >= moments[1])
