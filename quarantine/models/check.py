"""The checks for spam: a row for each, with its weight."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final

import regex
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, normalise_domain
from base.short_cache import ShortCache
from quarantine.models.addresses import parse_server

FRESH_SECONDS: Final = 1.0


class CheckKind(models.TextChoices):
    """What a check looks at. Some are of use but once, others as often as there are lists, servers or rules."""

    SPAMD = "spamd", _lazy("SpamAssassin (spamd)")
    RSPAMD = "rspamd", _lazy("Rspamd")
    IP_LIST = "ip_list", _lazy("DNS list of IP addresses")
    URI_LIST = "uri_list", _lazy("DNS list of domains in links")
    SPF = "spf", _lazy("SPF")
    DKIM = "dkim", _lazy("DKIM")
    DMARC = "dmarc", _lazy("DMARC")
    REVERSE_DNS = "rdns", _lazy("Reverse DNS")
    NULL_SENDER = "null_sender", _lazy("Null sender")
    HEADER = "header", _lazy("Header rule")
    BODY = "body", _lazy("Text rule")
    UNREAD = "unread", _lazy("Unread text")


SERVERS = {CheckKind.SPAMD: "127.0.0.1:783", CheckKind.RSPAMD: "127.0.0.1:11333"}
RSPAMD_CONTROLLER = "127.0.0.1:11334"
LISTS = (CheckKind.IP_LIST, CheckKind.URI_LIST)
# 10 points, the low threshold, are what an engine itself begins to call spam: SpamAssassin at 5, Rspamd at 6. What is
# wrong with much honest mail, as a signature that a mailing list broke, does not come to that by itself.
WEIGHTS: Final = {
    CheckKind.SPAMD: 2.0,
    CheckKind.RSPAMD: 1.7,
    CheckKind.SPF: 5.0,
    CheckKind.DKIM: 3.0,
    CheckKind.REVERSE_DNS: 4.0,
    CheckKind.NULL_SENDER: 2.0,
    CheckKind.UNREAD: 3.0,
}
USUAL_WEIGHT: Final = 10.0
# spamd has five children unless it is told otherwise.
PARALLEL: Final = {CheckKind.SPAMD: 5, CheckKind.RSPAMD: 50}
USUAL_PARALLEL: Final = 100
RULES = (CheckKind.HEADER, CheckKind.BODY)


class Check(models.Model):
    """One check. A hit adds `weight` points; negative ones speak for a message (an allow list)."""

    name = models.CharField(max_length=60, unique=True, help_text=_lazy("Shown in results and headers."))
    kind = models.CharField(max_length=11, choices=CheckKind)
    inbound = models.BooleanField(_lazy("for inbound mail"), default=True)
    outbound = models.BooleanField(_lazy("for outbound mail"), default=False)
    weight = models.FloatField(
        blank=True,
        default=None,
        validators=[MinValueValidator(-100), MaxValueValidator(100)],
        help_text=(
            _lazy(
                "Points for a hit; for SpamAssassin and Rspamd, the factor for their own score. "
                "Leave empty for the default: SpamAssassin 2, Rspamd 1.7, SPF 5, reverse DNS 4, DKIM 3, unread text 3, "
                "null sender 2, others 10."
            )
        ),
    )
    where = models.CharField(
        max_length=255,
        blank=True,
        default="",
        help_text=_lazy("Server: its host:port. List: its zone, as zen.example.org. Header rule: the header's name."),
    )
    pattern = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text=_lazy(
            "List: the answers that count, as 127.0.0.2-11, 127.0.0.14; empty for all. Rule: a regular expression."
        ),
    )
    timeout_seconds = models.PositiveIntegerField(
        _lazy("timeout (seconds)"), default=5, validators=[MinValueValidator(1), MaxValueValidator(60)]
    )

    parallel = models.PositiveIntegerField(
        _lazy("parallel requests"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=(
            _lazy(
                "Over all workers; no more than the server has children. Further messages wait. "
                "Leave empty for the default: SpamAssassin 5, Rspamd 50, DNS lists 100."
            )
        ),
    )
    learns = models.BooleanField(
        _lazy("supports training"),
        default=False,
        help_text=_lazy("Resend and Delete in the Spam Quarantine can train it. spamd needs --allow-tell for that."),
    )
    learn_where = models.CharField(
        _lazy("controller"),
        max_length=255,
        blank=True,
        default="",
        help_text=_lazy("Rspamd only: the host:port of its controller. SpamAssassin is trained at the address above."),
    )
    sealed_password = models.TextField(blank=True, default="", editable=False)

    class Meta:
        ordering = ["kind", "name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **options: Any) -> None:
        """A weight that nobody has chosen is the usual one."""
        if self.weight is None:
            self.weight = usual_weight(self.kind)
        super().save(*args, **options)

    def clean(self) -> None:
        """Checks that depend on the kind. Raises ValidationError with each field's sentence."""
        wrong: dict[str, str] = {}
        self.where, self.pattern = self.where.strip(), self.pattern.strip()
        if self.weight is None:
            self.weight = usual_weight(self.kind)
        try:
            if self.kind in SERVERS:
                self.where = self.where or SERVERS[CheckKind(self.kind)]
                parse_server(self.where)
            elif self.kind in LISTS:
                self.where = normalise_domain(self.where.strip("."))
            elif self.kind == CheckKind.HEADER and not re.fullmatch(r"[!-9;-~]{1,80}", self.where):
                wrong["where"] = gettext("A header rule needs the name of a header, as Subject.")
        except ValidationError as error:
            wrong["where"] = error.messages[0]
        except InvalidAddress:
            wrong["where"] = gettext("A list needs its zone, as zen.example.org.")
        try:
            if self.kind in LISTS:
                parse_answers(self.pattern)
            elif self.kind in RULES:
                compile_rule(self.pattern)
        except ValidationError as error:
            wrong["pattern"] = error.messages[0]
        try:
            self._clean_learning()
        except ValidationError as error:
            wrong["learns" if self.kind not in SERVERS else "learn_where"] = error.messages[0]
        if wrong:
            raise ValidationError(wrong)

    @property
    def most_at_once(self) -> int:
        """How many questions its server is asked at once, from everywhere."""
        return self.parallel or PARALLEL.get(CheckKind(self.kind), USUAL_PARALLEL)

    def _clean_learning(self) -> None:
        self.learn_where = self.learn_where.strip()
        if not self.learns:
            return
        if self.kind not in SERVERS:
            raise ValidationError(gettext("Only SpamAssassin and Rspamd learn."))
        if self.kind == CheckKind.RSPAMD:
            self.learn_where = self.learn_where or RSPAMD_CONTROLLER
            parse_server(self.learn_where)


def usual_weight(kind: str) -> float:
    """The weight of a check for which nobody has chosen one."""
    return WEIGHTS.get(CheckKind(kind), USUAL_WEIGHT) if kind in CheckKind.values else USUAL_WEIGHT


# What is escaped, or a group that is called: the library's time limit does not hold for those.
_CALL: Final = re.compile(r"\\.|(\(\?(?:R|[+-]?[0-9]+|&\w+|P>\w+)\))", re.DOTALL)


def compile_rule(pattern: str) -> regex.Pattern[str]:
    """A rule's expression; case does not matter. Raises ValidationError."""
    if not pattern:
        raise ValidationError(gettext("A rule needs a regular expression."))
    if any(found[1] for found in _CALL.finditer(pattern)):
        raise ValidationError(
            gettext("A rule can't call its own groups, as (?R), (?1) or (?&name) do: that may never end.")
        )
    try:
        return regex.compile(pattern, regex.IGNORECASE)
    except regex.error as error:
        raise ValidationError(gettext("The expression can't be read: %(error)s.") % {"error": error}) from error
    except (RecursionError, OverflowError, MemoryError) as error:
        raise ValidationError(
            gettext("The expression is nested too deeply, or repeats something too often.")
        ) from error


def parse_answers(text: str) -> tuple[tuple[int, int], ...]:
    """Ranges of IPv4 addresses as numbers: `127.0.0.2-11, 127.0.0.14`. Raises ValidationError."""
    ranges = []
    for word in text.replace(",", " ").split():
        first, _, last = word.partition("-")
        try:
            lowest = int(ipaddress.IPv4Address(first))
            if last and "." not in last:
                last = f"{first.rpartition('.')[0]}.{last}"
            highest = int(ipaddress.IPv4Address(last)) if last else lowest
        except ValueError as error:
            raise ValidationError(
                gettext("%(word)s is no answer of a list; write 127.0.0.2 or 127.0.0.2-11.") % {"word": f"{word!r}"}
            ) from error
        ranges.append((lowest, highest))
    return tuple(ranges)


def _in_use() -> list[Check]:
    return list(Check.objects.filter(models.Q(inbound=True) | models.Q(outbound=True)))


_checks = ShortCache(FRESH_SECONDS, _in_use)


def current_checks() -> list[Check]:
    """Those that are on in some direction, read at most once a second per process. Not for editing."""
    return _checks.current()


def last_checks() -> list[Check]:
    """What `current_checks` gave last: for an event loop, which must not ask."""
    return _checks.last or []


def forget_checks() -> None:
    """Drop this process's copy."""
    _checks.forget()
