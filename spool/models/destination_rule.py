"""What an administrator chooses for mail to one domain, to some mail hosts, to a provider, or to all other servers."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, normalise_domain
from base.texts import Text
from spool.models.settings import parse_retry_intervals

ALL_NAME: Final = "*"
LONGEST_LIFETIME_HOURS: Final = 24 * 30
# What a refusal can be about (spool.delivery.shaping.classes), as far as a schedule of its own makes sense.
ERRORS: Final[Mapping[str, Text]] = {
    "rate": _lazy("too much or too fast"),
    "connections": _lazy("too many connections"),
    "reputation": _lazy("our address refused"),
    "greylisting": "greylisting",
    "mailbox-full": "mailbox full",
    "policy": "policy",
    "other": "anything else",
}


class RuleScope(models.TextChoices):
    """For whose mail a rule is: the first is the most specific."""

    DOMAIN = "domain", _lazy("A domain")
    HOSTS = "hosts", _lazy("Mail hosts (MX)")
    PROVIDER = "provider", _lazy("A provider")
    ALL = "all", _lazy("All other servers")


class RuleTLS(models.TextChoices):
    """What a rule asks of connections. DANE and MTA-STS of a domain go before all but OPPORTUNISTIC."""

    OPPORTUNISTIC = "opportunistic", _lazy("Encrypt when offered, whatever the domain publishes")
    PUBLISHED = "published", _lazy("As the domain publishes (DANE, MTA-STS), else when offered")
    ENCRYPT = "encrypt", _lazy("Require encryption")
    VERIFY = "verify", _lazy("Require encryption and a valid certificate")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to try again, and for how long; None leaves that to what is less specific."""

    intervals: tuple[timedelta, ...] | None = None
    lifetime: timedelta | None = None

    @property
    def says_something(self) -> bool:
        return self.intervals is not None or self.lifetime is not None


USUAL: Final = Schedule()


class DestinationRule(models.Model):
    """A field that is empty says nothing: then the next less specific rule that does, and at last Settings."""

    scope = models.CharField(_lazy("kind"), max_length=8, choices=RuleScope, default=RuleScope.DOMAIN)
    name = models.CharField(
        max_length=255,
        help_text=_lazy(
            "A domain is example.org, or *.example.org for those below it. Mail hosts are their names, as the"
            " Destinations page has them, or *.example.net for all whose hosts end so. A provider is its name there, as"
            " Google. * for all other servers."
        ),
    )
    enabled = models.BooleanField(default=True)
    retry_intervals_minutes = models.CharField(
        _lazy("retry intervals (minutes)"),
        max_length=300,
        blank=True,
        default="",
        help_text=_lazy("As 15, 30, 60, 90: minutes between attempts, of which the last repeats. Empty: as usual."),
    )
    expire_after_hours = models.PositiveIntegerField(
        _lazy("bounce undelivered mail after (hours)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_LIFETIME_HOURS)],
        help_text=_lazy("Empty: as usual."),
    )
    by_error = models.TextField(
        _lazy("schedules by kind of error"),
        blank=True,
        default="",
        help_text=_lazy(
            "One kind a line, as “greylisting: 5, 10, 15” or “mailbox-full: 60, 240 until 48”: minutes between"
            " attempts, and after how many hours it bounces. Kinds are rate, connections, reputation, greylisting,"
            " mailbox-full, policy and other."
        ),
    )
    connections = models.PositiveIntegerField(
        _lazy("connections at once"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=_lazy(
            "Over all workers, each of which has one at least. Empty: connections per destination, in Settings."
            " A route's own number goes before."
        ),
    )
    messages_per_connection = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text=_lazy(
            "Then a new connection is made. Empty: no limit; a connection is used for five minutes at most."
        ),
    )
    rate_per_minute = models.PositiveIntegerField(
        _lazy("messages a minute"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(60_000)],
        help_text=_lazy(
            "Over all workers, from each address of ours; in a rule for a domain, for that domain alone. Empty: no limit."
            " What is learned may go below."
        ),
    )
    tls = models.CharField(
        _lazy("TLS"),
        max_length=13,
        blank=True,
        default="",
        choices=RuleTLS,
        help_text=_lazy("Empty: as Settings have it. A route's own TLS goes before."),
    )
    source_addresses = models.CharField(
        max_length=255,
        blank=True,
        default="",
        help_text=_lazy(
            "Local IP addresses to connect from, the first of the host's kind (IPv4, IPv6) that works, as"
            " 192.0.2.1, 2001:db8::1. Empty: as Settings have it. A route's own address goes before."
        ),
    )
    suspended_until = models.DateTimeField(
        null=True, blank=True, help_text=_lazy("Until then its mail waits, and spends no attempt. Force passes it.")
    )
    suspended_reason = models.CharField(
        _lazy("reason"),
        max_length=100,
        blank=True,
        default="",
        help_text=_lazy("Shown at each message that waits for it."),
    )
    description = models.CharField(max_length=200, blank=True, default="")
    changed = models.DateTimeField(auto_now=True, editable=False)
    by = models.CharField(max_length=254, blank=True, default="", editable=False)

    audit_kind: ClassVar = "destination rule"

    class Meta:
        ordering: ClassVar = ["scope", "name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["scope", "name"], name="destination_rule_once")]

    def __str__(self) -> str:
        return _("all other servers") if self.scope == RuleScope.ALL else f"{self.get_scope_display()}: {self.name}"

    def clean(self) -> None:
        self.name = cleaned_name(self.scope, self.name)
        for value, parse in (
            ("retry_intervals_minutes", parse_retry_intervals),
            ("source_addresses", parse_sources),
            ("by_error", parse_by_error),
        ):
            if text := getattr(self, value):
                try:
                    parse(text)
                except ValidationError as error:
                    raise ValidationError({value: error.messages}) from error
        self.source_addresses = ", ".join(parse_sources(self.source_addresses))

    @property
    def title(self) -> str:
        """For whose mail it is."""
        return _("all other servers") if self.scope == RuleScope.ALL else self.name

    @property
    def says(self) -> list[str]:
        """What it chooses, apart from a suspension, in a few words each."""
        found = []
        if self.retry_intervals_minutes:
            found.append(
                _("retries after %(retry_intervals_minutes)s min")
                % {"retry_intervals_minutes": self.retry_intervals_minutes}
            )
        if self.expire_after_hours is not None:
            found.append(_("bounces after %(expire_after_hours)s h") % {"expire_after_hours": self.expire_after_hours})
        if self.by_error:
            found.append(_("schedules by kind of error"))
        for number, of in (
            (self.connections, _("connections")),
            (self.messages_per_connection, _("messages a connection")),
            (self.rate_per_minute, _("messages a minute")),
        ):
            if number is not None:
                found.append(f"{number:,} {of}")
        if self.tls:
            found.append(f"TLS: {self.get_tls_display().partition(',')[0].lower()}")
        if self.source_addresses:
            found.append(_("from %(addresses)s") % {"addresses": self.source_addresses})
        return found

    @property
    def schedule(self) -> Schedule:
        """For any error. Raises ValidationError."""
        return schedule_of(self.retry_intervals_minutes, self.expire_after_hours)


def cleaned_name(scope: str, name: str) -> str:
    """As rules are looked up by it. Raises ValidationError for the field `name`."""
    name = " ".join(name.split())
    if scope == RuleScope.ALL:
        return ALL_NAME
    if not name or name == ALL_NAME:
        raise ValidationError({"name": _("Say for whom: only a rule for all other servers is without a name.")})
    if scope == RuleScope.PROVIDER:
        return name
    if scope == RuleScope.HOSTS:
        hosts = sorted({host.lower().rstrip(".") for host in name.replace(",", " ").split()})
        if len(hosts) > 1 and any("*" in host for host in hosts):
            raise ValidationError({"name": _("Write either names of hosts, or one *.example.net.")})
        if any("*" in host.removeprefix("*.") for host in hosts):
            raise ValidationError({"name": _("A star stands at the beginning only, as in *.example.net.")})
        return " ".join(hosts)
    bare = name.removeprefix("*.")
    try:
        return name.removesuffix(bare) + normalise_domain(bare)
    except InvalidAddress as error:
        raise ValidationError({"name": str(error)}) from error


def parse_sources(text: str) -> tuple[str, ...]:
    """IP addresses, in one spelling. Raises ValidationError."""
    found = []
    for word in text.replace(",", " ").split():
        try:
            found.append(str(ipaddress.ip_address(word.strip("[]"))))
        except ValueError:
            raise ValidationError(_("%(word)s is not an IP address.") % {"word": f"{word!r}"}) from None
    return tuple(dict.fromkeys(found))


def schedule_of(minutes: str, hours: int | None) -> Schedule:
    """Raises ValidationError."""
    if hours is not None and not 1 <= hours <= LONGEST_LIFETIME_HOURS:
        raise ValidationError(
            _("%(hours)s hours is not between 1 and %(longest_lifetime_hours)s.")
            % {"hours": hours, "longest_lifetime_hours": LONGEST_LIFETIME_HOURS}
        )
    intervals = parse_retry_intervals(minutes) if minutes.strip() else None
    return Schedule(intervals, timedelta(hours=hours) if hours is not None else None)


def parse_by_error(text: str) -> dict[str, Schedule]:
    """By kind of error what lines of `KIND: MINUTES [until HOURS]` say. Raises ValidationError."""
    schedules = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        kind, colon, said = line.partition(":")
        minutes, until, hours = said.partition("until")
        if not colon or kind.strip() not in ERRORS:
            raise ValidationError(
                _("“%(line)s” does not begin with one of %(errors)s, and a colon.")
                % {"line": line[:60], "errors": ", ".join(ERRORS)}
            )
        hours = hours.strip().removesuffix("h").strip()
        if until and not (hours.isascii() and hours.isdigit() and len(hours) < 5):
            raise ValidationError(_("“%(line)s”: after until stands a number of hours.") % {"line": line[:60]})
        schedule = schedule_of(minutes, int(hours) if until else None)
        if not schedule.says_something:
            raise ValidationError(
                _("“%(line)s” says nothing: write minutes, as 5, 10, 15, or until and hours.") % {"line": line[:60]}
            )
        schedules[kind.strip()] = schedule
    return schedules
