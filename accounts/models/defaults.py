"""Templates for new domains and users: one row each. Existing ones keep what they have unless it is propagated."""

from __future__ import annotations

from django.db import models
from django.forms.models import model_to_dict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.models.domains import Domain
from accounts.models.limits import DomainLimits, UserLimits
from base.one_row import OneRow


class DomainDefaults(OneRow, DomainLimits):
    """What a new domain starts with."""

    class Meta:
        verbose_name_plural = _lazy("domain defaults")

    def __str__(self) -> str:
        return _("Domain defaults")


class DomainUserDefaults(UserLimits):
    """What a new user of one domain starts with, where its administrators have said so."""

    domain = models.OneToOneField(Domain, on_delete=models.CASCADE, related_name="user_defaults")

    class Meta:
        verbose_name_plural = _lazy("user defaults of domains")

    def __str__(self) -> str:
        return _("User defaults of %(domain)s") % {"domain": self.domain}

    @property
    def audit_name(self) -> str:
        """What it is called in records: by its domain."""
        return self.domain.name

    @classmethod
    def of(cls, domain: Domain) -> DomainUserDefaults:
        """The domain's row, or one that is not saved yet and has the server's defaults."""
        row = DomainUserDefaults.objects.filter(domain=domain).first()
        return row or DomainUserDefaults(domain=domain, **model_to_dict(UserDefaults.load(), exclude=["id"]))


class UserDefaults(OneRow, UserLimits):
    """What a new user starts with."""

    class Meta:
        verbose_name_plural = _lazy("user defaults")

    def __str__(self) -> str:
        return _("User defaults")


Defaults = DomainDefaults | UserDefaults | DomainUserDefaults
