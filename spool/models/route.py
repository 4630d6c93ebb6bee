"""Where mail for a domain goes instead of the hosts that DNS names."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, validate_ipv46_address
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, normalise_domain


class RouteKind(models.TextChoices):
    """A gateway also opens the MX port to mail for its domain."""

    SMART_HOST = "smart_host", _lazy("Smart host")
    GATEWAY = "gateway", _lazy("Gateway (mail for the domain is accepted from anyone)")


class TLSPolicy(models.TextChoices):
    """What a connection must offer before mail crosses it."""

    OPPORTUNISTIC = "opportunistic", _lazy("Encrypt when offered")
    ENCRYPT = "encrypt", _lazy("Require encryption")
    VERIFY = "verify", _lazy("Require encryption and a valid certificate")
    IMPLICIT = "implicit", _lazy("TLS from the first byte, valid certificate")
    NONE = "none", _lazy("Never encrypt")


class Route(models.Model):
    """Mail for `domain` (`*` for all that is not local; `*.example.org` for subdomains) goes to `host`."""

    domain = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=10, choices=RouteKind, default=RouteKind.SMART_HOST)
    enabled = models.BooleanField(default=True)
    host = models.CharField(
        max_length=255, help_text=_lazy("Host name or IP address; its MX records are not looked up.")
    )
    port = models.PositiveIntegerField(default=25, validators=[MinValueValidator(1), MaxValueValidator(65535)])
    tls = models.CharField(_lazy("TLS"), max_length=13, choices=TLSPolicy, default=TLSPolicy.OPPORTUNISTIC)
    username = models.CharField(max_length=254, blank=True, default="")
    sealed_password = models.TextField(blank=True, default="", editable=False)
    verify_for_login = models.BooleanField(
        _lazy("send the password to a valid certificate only"),
        default=True,
        db_default=True,
        help_text=(
            _lazy(
                "With a user name: the host must prove who it is, as with “Require encryption and a valid certificate”. "
                "Without this, whoever can answer in the host's place reads the password."
            )
        ),
    )
    source_address = models.CharField(
        max_length=45,
        blank=True,
        default="",
        validators=[validate_ipv46_address],
        help_text=_lazy("Local IP address to connect from; empty for the one in Settings."),
    )
    max_connections = models.PositiveIntegerField(
        default=0,
        help_text=_lazy(
            "At once to this host, shared by the workers, each of which has one at least; 0 for the limit in Settings."
        ),
    )
    description = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["domain"]

    def __str__(self) -> str:
        return f"{self.domain} → {self.host}:{self.port}"

    @property
    def policy(self) -> TLSPolicy:
        """What really holds: a password asks for more than mail does."""
        chosen = TLSPolicy(self.tls)
        if not self.username or chosen in (TLSPolicy.VERIFY, TLSPolicy.IMPLICIT):
            return chosen
        return TLSPolicy.VERIFY if self.verify_for_login else TLSPolicy.ENCRYPT

    @property
    def exposes_password(self) -> bool:
        """Whether the password goes to a host that does not prove who it is."""
        return bool(self.username) and self.policy is TLSPolicy.ENCRYPT

    def clean(self) -> None:
        self.domain = self.domain.strip().lower()
        name = self.domain.removeprefix("*.")
        if name != "*":
            try:
                # As recipients' domains are spelled, or no mail would ever meet it.
                self.domain = self.domain.removesuffix(name) + normalise_domain(name)
            except InvalidAddress as error:
                raise ValidationError({"domain": str(error)}) from error
        if self.kind == RouteKind.GATEWAY and self.domain == "*":
            raise ValidationError({"domain": _("A gateway needs a domain: '*' would make an open relay.")})
        if self.username and self.tls in (TLSPolicy.NONE, TLSPolicy.OPPORTUNISTIC):
            raise ValidationError({"tls": _("Credentials are only sent over required encryption.")})
