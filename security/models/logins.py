"""Wrong passwords, what they lead to, and from how many on."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.one_row import OneRow, Section, between


class LoginRules(OneRow):
    """The one row that says from how many wrong passwords on a login is closed, and for how long."""

    enabled = models.BooleanField(default=True, help_text=_lazy("Off, nobody is closed out however often they guess."))
    pair_failures = models.PositiveIntegerField(
        _lazy("for an account from one address"),
        default=10,
        validators=between(3, 1000),
        help_text=_lazy("So many different wrong passwords close the account to that address."),
    )
    ip_failures = models.PositiveIntegerField(
        _lazy("from one address"),
        default=30,
        validators=between(3, 100_000),
        help_text=_lazy(
            "So many for any accounts close every login to that address; IPv6 counts by /64. Not for addresses"
            " whose whitelist entry bypasses the login protection."
        ),
    )
    account_failures = models.PositiveIntegerField(
        _lazy("for one account"),
        default=50,
        validators=between(3, 100_000),
        help_text=_lazy(
            "So many from any addresses close the account, but not to addresses that it has logged in from in the"
            " last 30 days."
        ),
    )
    window_minutes = models.PositiveIntegerField(
        _lazy("counted for (minutes)"), default=15, validators=between(1, 1440)
    )
    block_minutes = models.PositiveIntegerField(
        _lazy("closed for (minutes)"), default=15, validators=between(1, 43_200)
    )

    sections: ClassVar[tuple[Section, ...]] = (
        Section(_lazy("Login protection"), ("enabled",)),
        Section(
            _lazy("Different wrong passwords"),
            ("pair_failures", "ip_failures", "account_failures", "window_minutes", "block_minutes"),
            _lazy(
                "Of SMTP and the web together. The same wrong password again and again counts once: that is a program that nobody has told of a new one."
            ),
        ),
    )

    class Meta:
        verbose_name = verbose_name_plural = _lazy("login protection")

    def __str__(self) -> str:
        return _("Login protection")


class FailedLogin(models.Model):
    """One wrong password. Of the password itself only 16 bits of a keyed hash: enough to tell a program that tries the
    same one again and again from somebody who guesses, too little to find it."""

    at = models.DateTimeField(db_index=True)
    protocol = models.CharField(max_length=4)
    ip = models.CharField(max_length=43)
    account = models.CharField(max_length=254)
    mark = models.PositiveIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["ip", "at"], name="failed_login_ip"),
            models.Index(fields=["account", "at"], name="failed_login_account"),
        ]

    def __str__(self) -> str:
        return f"{self.account} from {self.ip}"


class KnownLogin(models.Model):
    """An address that an account has logged in from: others' guesses don't close it there."""

    account = models.CharField(max_length=254)
    ip = models.CharField(max_length=43)
    last = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "ip"], name="one_known_login")]

    def __str__(self) -> str:
        return f"{self.account} from {self.ip}"


class BlockReason(models.TextChoices):
    """Which rule closed a login."""

    PAIR = "pair", _lazy("Account from one address")
    ADDRESS = "ip", _lazy("Address")
    ACCOUNT = "account", _lazy("Account")


class LoginBlock(models.Model):
    """A login that is closed for a time: to an address, of an account, or of an account to one address."""

    reason = models.CharField(max_length=7, choices=BlockReason)
    ip = models.CharField(_lazy("address"), max_length=43, blank=True, default="")
    account = models.CharField(max_length=254, blank=True, default="")
    protocol = models.CharField(_lazy("last tried by"), max_length=4)
    failures = models.PositiveIntegerField(_lazy("wrong passwords"))
    times = models.PositiveIntegerField(_lazy("blocks in 30 days"), default=1)
    since = models.DateTimeField()
    until = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _lazy("login block")
        ordering = ["-until"]
        constraints = [models.UniqueConstraint(fields=["ip", "account"], name="one_login_block")]

    def __str__(self) -> str:
        return " from ".join(part for part in (self.account, self.ip) if part)
