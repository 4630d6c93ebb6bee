"""The keys with which mail of our domains is signed (RFC 6376), and how far each has come."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import normalise_domain
from base import facts


class KeyAlgorithm(models.TextChoices):
    """RFC 6376 3.3.1 and RFC 8463. Receivers that know no Ed25519 pass over such a signature: sign by RSA as well."""

    RSA = "rsa", _lazy("RSA, 2048 bits")
    ED25519 = "ed25519", _lazy("Ed25519")


class KeyState(models.TextChoices):
    """A key signs in one of them only: never before the DNS has shown it, and never when it may soon be gone."""

    PREPARED = "prepared", _lazy("Prepared: waits for its DNS record")
    PUBLISHED = "published", _lazy("Published: seen in the DNS, signs soon")
    ACTIVE = "active", _lazy("Active: signs")
    RETIRING = "retiring", _lazy("Retiring: keep its record, mail on its way carries it")
    REVOKED = "revoked", _lazy("Revoked: remove its record")


class DkimKey(models.Model):
    """A key pair of one domain, under the selector by which receivers find the public half."""

    domain = models.CharField(max_length=253)
    selector = models.CharField(max_length=63)
    algorithm = models.CharField(max_length=7, choices=KeyAlgorithm)
    sealed_private_key = models.TextField(
        editable=False, help_text=_lazy("PEM (PKCS #8), sealed; empty once it is revoked.")
    )
    public_key = models.TextField(help_text=_lazy("Base64, as the tag p= has it."))
    state = models.CharField(max_length=9, choices=KeyState, default=KeyState.PREPARED, db_index=True)
    created = models.DateTimeField()
    # When all name servers of the domain first showed it without a gap since, when it began to sign, and when it ended.
    published = models.DateTimeField(null=True)
    active = models.DateTimeField(null=True)
    retired = models.DateTimeField(null=True)
    checked = models.DateTimeField(null=True, help_text=_lazy("When its record was last looked for."))
    # What was wrong with its record then, in English, and what is shown of it (base.facts).
    found = models.CharField(max_length=300, blank=True, default="", help_text="What was wrong with its record then.")
    found_fact = models.JSONField(null=True)
    ttl_seconds = models.PositiveIntegerField(default=0, help_text="For how long resolvers keep its record.")
    # What this server has put into the DNS by itself (spool.signing.publishing), when it last tried to, and what kept it.
    sent = models.TextField(blank=True, default="", db_default="")
    send_tried = models.DateTimeField(null=True)
    send_problem = models.CharField(max_length=300, blank=True, default="", db_default="")
    send_problem_fact = models.JSONField(null=True)

    class Meta:
        verbose_name = _lazy("DKIM key")
        constraints = [models.UniqueConstraint(fields=["domain", "selector"], name="dkim_selector_once")]
        ordering = ["domain", "-created"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        self.domain = normalise_domain(self.domain)

    @property
    def wrong(self) -> str:
        """What is wrong with its record, in the active language; empty for nothing."""
        return facts.shown_for(self.found, self.found_fact)

    @property
    def unsent(self) -> str:
        """Why its record could not be sent, likewise."""
        return facts.shown_for(self.send_problem, self.send_problem_fact)

    @property
    def name(self) -> str:
        """Where its record stands in the DNS."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record (RFC 6376 3.6.1). One that is revoked says so by an empty key."""
        return f"v=DKIM1; k={self.algorithm}; p={'' if self.state == KeyState.REVOKED else self.public_key}"
