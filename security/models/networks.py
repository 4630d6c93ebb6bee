"""Networks that are kept out, and networks that are let in whatever else is said of them."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from security.addresses import BadNetwork, Network, parse_network, spell, warning_about


class Protocol(models.TextChoices):
    """What an entry is about."""

    SMTP = "smtp", _lazy("SMTP")
    WEB = "web", _lazy("Web")


class Source(models.TextChoices):
    """Who made an entry: somebody in Security, somebody who saw it in the spool, or too many wrong passwords."""

    MANUAL = "manual", _lazy("Manual")
    SPOOL = "spool", _lazy("Spool")
    LOGINS = "logins", _lazy("Failed logins")


class ListedNetwork(models.Model):
    """What both lists have."""

    network = models.CharField(
        _lazy("IP address or network"),
        max_length=43,
        unique=True,
        help_text=_lazy("192.0.2.1, 192.0.2.0/24, 2001:db8::1 or 2001:db8::/48."),
    )
    smtp = models.BooleanField(_lazy("SMTP"), default=True, help_text=_lazy("Connections to the ports for mail."))
    web = models.BooleanField(_lazy("web"), default=False, help_text=_lazy("This console and the users' own pages."))
    description = models.CharField(max_length=200, blank=True, default="")
    created = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(_lazy("by"), max_length=254, blank=True, default="", editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.network

    def clean(self) -> None:
        """Raises ValidationError with each field's sentence."""
        try:
            network = parse_network(self.network)
        except BadNetwork as error:
            if self.network:
                raise ValidationError({"network": str(error)}) from error
            return
        if network.prefixlen == 0:
            raise ValidationError({"network": (_("%(network)s is everybody.") % {"network": network})})
        self.network = spell(network)

    @property
    def as_network(self) -> Network:
        return parse_network(self.network)

    @property
    def protocols(self) -> list[Protocol]:
        return [protocol for protocol in Protocol if getattr(self, protocol.value)]

    def set_protocols(self, protocols: Iterable[str]) -> None:
        for protocol in Protocol:
            setattr(self, protocol.value, protocol.value in protocols)


class BlacklistEntry(ListedNetwork):
    """A network whose connections are refused, for good or until `expires_at`."""

    source = models.CharField(max_length=6, choices=Source, default=Source.MANUAL, editable=False)
    # Of an entry that was there before, for other protocols: `source` is of the entry as a whole.
    spool_smtp = models.BooleanField(
        _lazy("SMTP was added in the spool"), default=False, db_default=False, editable=False
    )
    expires_at = models.DateTimeField(
        _lazy("expires"), null=True, blank=True, help_text=_lazy("Leave empty for never.")
    )

    class Meta:
        verbose_name = _lazy("blacklist entry")
        verbose_name_plural = _lazy("blacklist entries")
        ordering = ["-id"]

    def clean(self) -> None:
        super().clean()
        if not self.smtp and not self.web:
            raise ValidationError({"smtp": _("Choose at least one of SMTP and web, or the entry does nothing.")})
        if self.expires_at is not None and self.expires_at <= timezone.now():
            raise ValidationError({"expires_at": _("This time is in the past.")})

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def warning(self) -> str:
        """What to tell whoever lists so much; "" for a usual size."""
        return warning_about(self.as_network)


class WhitelistEntry(ListedNetwork):
    """A network that the blacklist does not touch, and what else is not asked of it."""

    auth_bypass = models.BooleanField(
        _lazy("SMTP authentication bypass"),
        default=False,
        help_text=_lazy(
            "Its hosts may send anywhere without logging in. For devices that can't; any of them that is broken"
            " into sends in your name."
        ),
    )
    spam_bypass = models.BooleanField(
        _lazy("spam bypass"), default=False, help_text=_lazy("Its mail is not checked for spam.")
    )
    login_bypass = models.BooleanField(
        _lazy("login protection bypass"),
        default=False,
        help_text=_lazy(
            "Wrong passwords never close the login to the address itself, as for a proxy or webmail that many"
            " share. Accounts stay protected."
        ),
    )
    is_default = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _lazy("whitelist entry")
        verbose_name_plural = _lazy("whitelist entries")
        ordering = ["-id"]

    def clean(self) -> None:
        super().clean()
        if not (self.smtp or self.web or self.auth_bypass or self.spam_bypass or self.login_bypass):
            raise ValidationError({"smtp": _("Choose at least one, or the entry does nothing.")})
