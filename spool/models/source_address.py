"""Addresses of ours that mail leaves from."""

from __future__ import annotations

import ipaddress
from datetime import date
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, validate_ipv46_address
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, normalise_address, normalise_domain


class SourceAddress(models.Model):
    """One of them. Without any, mail leaves from the address in Settings, or the one that the system chooses."""

    address = models.CharField(
        _lazy("IP address"),
        max_length=45,
        unique=True,
        validators=[validate_ipv46_address],
        help_text=_lazy("IPv4 or IPv6, of this machine. While it is not there, mail leaves from the others."),
    )
    ehlo_name = models.CharField(
        _lazy("EHLO name"),
        max_length=253,
        blank=True,
        default="",
        help_text=_lazy("What it calls itself; its reverse name (PTR) has to be the same. Empty: this server's name."),
    )
    enabled = models.BooleanField(default=True)
    weight = models.PositiveIntegerField(
        default=1,
        validators=[MaxValueValidator(1000)],
        help_text=_lazy(
            "Its part of the mail that no address is chosen for: with 3 three times as much as with 1; with 0 none."
        ),
    )
    senders = models.TextField(
        blank=True,
        default="",
        help_text=_lazy(
            "Whose mail leaves from here, one a line: the login of a user, the address of a mailing list, or the"
            " domain of senders. That of a user or list goes before that of a domain. Empty: anybody's, by weight."
        ),
    )
    warm_up_since = models.DateField(
        _lazy("warm-up since"),
        null=True,
        blank=True,
        help_text=_lazy(
            "The first day of a new address, by UTC: it sends only so much a day to each receiver, and more each day;"
            " the rest leaves from the others, or waits. Empty: as much as there is."
        ),
    )
    warm_up_first = models.PositiveIntegerField(
        _lazy("messages on the first day"),
        default=50,
        db_default=50,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text=_lazy("To each receiver: a provider, or a set of mail hosts."),
    )
    warm_up_growth = models.FloatField(
        _lazy("times as many each day"),
        default=2.0,
        db_default=2.0,
        validators=[MinValueValidator(1.0), MaxValueValidator(10.0)],
        help_text=_lazy("2 doubles it: 50, 100, 200, 400."),
    )
    warm_up_days = models.PositiveIntegerField(
        _lazy("days of the warm-up"),
        default=14,
        db_default=14,
        validators=[MinValueValidator(1), MaxValueValidator(365)],
        help_text=_lazy("After so many days there is no limit any more."),
    )
    description = models.CharField(max_length=200, blank=True, default="")
    missing_since = models.DateTimeField(null=True, editable=False)
    missing_where = models.CharField(max_length=255, blank=True, default="", editable=False)

    audit_kind: ClassVar = "source address"

    class Meta:
        ordering: ClassVar = ["address"]
        verbose_name_plural = _lazy("source addresses")

    def __str__(self) -> str:
        return self.address

    def allowed_on(self, day: date) -> int | None:
        """Messages that it may send to one receiver on a day; None: any number."""
        if self.warm_up_since is None:
            return None
        number = (day - self.warm_up_since).days
        if number >= self.warm_up_days:
            return None
        return int(self.warm_up_first * min(self.warm_up_growth ** max(0, number), 1e9))

    def clean(self) -> None:
        try:
            self.address = str(ipaddress.ip_address(self.address.strip().strip("[]")))
        except ValueError as error:
            raise ValidationError(
                {"address": (_("%(address)s is not an IP address.") % {"address": f"{self.address!r}"})}
            ) from error
        if self.ehlo_name:
            try:
                self.ehlo_name = normalise_domain(self.ehlo_name.strip())
            except InvalidAddress as error:
                raise ValidationError({"ehlo_name": str(error)}) from error
        self.senders = "\n".join(parse_senders(self.senders))


class SourceDay(models.Model):
    """How many messages an address in its warm-up has sent to one receiver on a day. Added to by workers, in batches."""

    source = models.CharField(max_length=45)
    site = models.CharField(max_length=255)
    day = models.DateField()
    sent = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["day", "source", "site"], name="source_day_once")]

    def __str__(self) -> str:
        return _("%(source)s to %(site)s, %(day)s") % {"source": self.source, "site": self.site, "day": self.day}


def parse_senders(text: str) -> tuple[str, ...]:
    """Logins, addresses of lists and domains, as they are compared. Raises ValidationError for the field `senders`."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            found.append(normalise_address(line) if "@" in line else normalise_domain(line))
        except InvalidAddress as error:
            raise ValidationError({"senders": f"{line[:80]}: {error}"}) from error
    return tuple(dict.fromkeys(found))
