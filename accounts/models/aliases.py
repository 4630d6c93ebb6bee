"""Addresses that stand for other addresses."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.addresses import normalised_if_valid, validate_address
from accounts.models.domains import Domain


class Alias(models.Model):
    """Another address for one or more mailboxes, here or elsewhere. Its local targets may send as it."""

    address = models.CharField(_("address"), max_length=254, unique=True, validators=[validate_address])
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="aliases")
    enabled = models.BooleanField(_("enabled"), default=True)
    description = models.CharField(_("description"), max_length=200, blank=True, default="")

    class Meta:
        ordering = ["address"]
        verbose_name_plural = _("aliases")

    def __str__(self) -> str:
        return self.address

    def clean(self) -> None:
        self.address = normalised_if_valid(self.address)


class AliasTarget(models.Model):
    """One address that an alias stands for."""

    alias = models.ForeignKey(Alias, on_delete=models.CASCADE, related_name="targets")
    address = models.CharField(max_length=254, db_index=True, validators=[validate_address])

    class Meta:
        constraints = [models.UniqueConstraint(fields=["alias", "address"], name="alias_target_once")]

    def __str__(self) -> str:
        return self.address

    def clean(self) -> None:
        self.address = normalised_if_valid(self.address)
