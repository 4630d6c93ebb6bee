"""The name servers that take the records of our domains from this server (RFC 2136)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, normalise_domain
from base import facts
from base.dns_updates import ALGORITHMS

EVERY = "*"


class UpdateServer(models.Model):
    """The primary name server of a domain and of what is below it; `*` is for all that have none of their own."""

    domain = models.CharField(
        max_length=253, unique=True, help_text=_lazy("A domain, for what is below it too; * for all.")
    )
    host = models.CharField(
        _lazy("server"), max_length=253, help_text=_lazy("The primary name server of the zone: its name or IP address.")
    )
    port = models.PositiveIntegerField(default=53, validators=[MinValueValidator(1), MaxValueValidator(65535)])
    key_name = models.CharField(max_length=253, help_text=_lazy("Of the TSIG key by which the server allows updates."))
    algorithm = models.CharField(max_length=11, choices=[(name, name) for name in ALGORITHMS], default=ALGORITHMS[0])
    sealed_secret = models.TextField(editable=False)
    enabled = models.BooleanField(default=True)
    tried = models.DateTimeField(null=True, editable=False)
    # What the last change failed of, in English, and what is shown of it (base.facts).
    problem = models.CharField(max_length=300, blank=True, default="", editable=False)
    problem_fact = models.JSONField(null=True, editable=False)

    class Meta:
        verbose_name = _lazy("DNS update server")
        ordering = ["domain"]

    def __str__(self) -> str:
        return f"{self.domain} → {self.host}"

    @property
    def wrong(self) -> str:
        """What the last change failed of, in the active language; empty for nothing."""
        return facts.shown_for(self.problem, self.problem_fact)

    def clean(self) -> None:
        self.domain, self.host = self.domain.strip().lower(), self.host.strip().lower().rstrip(".")
        if self.domain != EVERY:
            try:
                self.domain = normalise_domain(self.domain)
            except InvalidAddress as error:
                raise ValidationError({"domain": str(error)}) from error
        if not self.host or any(letter.isspace() or letter == "/" for letter in self.host):
            raise ValidationError({"host": _("Write the name or the IP address of a name server.")})
