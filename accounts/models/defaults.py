"""Templates for new domains and users: one row each. Existing ones keep what they have unless it is propagated."""

from typing import Self

from django.db import models

from accounts.models.limits import DomainLimits, UserLimits


class _OneRow(models.Model):
    class Meta:
        abstract = True

    @classmethod
    def current(cls) -> Self:
        row, _ = cls._default_manager.get_or_create(pk=1)
        return row


class DomainDefaults(_OneRow, DomainLimits):
    """What a new domain starts with."""

    class Meta:
        verbose_name_plural = "domain defaults"

    def __str__(self) -> str:
        return "Domain defaults"


class UserDefaults(_OneRow, UserLimits):
    """What a new user starts with."""

    class Meta:
        verbose_name_plural = "user defaults"

    def __str__(self) -> str:
        return "User defaults"
