"""The domains whose mail is delivered here."""

from django.db import models

from accounts.addresses import normalise_domain, validate_address, validate_domain
from accounts.models.limits import DomainLimits
from accounts.models.status import Status


class Domain(DomainLimits):
    """A local domain: its users, aliases and lists live in it."""

    name = models.CharField(max_length=255, unique=True, validators=[validate_domain])
    status = models.CharField(max_length=10, choices=Status, default=Status.ENABLED)
    catch_all = models.CharField(
        "catch-all address",
        max_length=254,
        blank=True,
        default="",
        validators=[validate_address],
        help_text="Takes the mail of addresses that do not exist; empty to refuse them.",
    )
    description = models.CharField(max_length=200, blank=True, default="")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        validate_domain(self.name)
        self.name = normalise_domain(self.name)
