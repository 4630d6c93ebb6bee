"""The domains whose mail is delivered here."""

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, normalise_domain, normalised_if_valid, validate_address, validate_domain
from accounts.models.limits import DomainLimits
from accounts.models.sending import SendAsChoice
from accounts.models.spam import SpamChoices, UsersReleaseChoice
from accounts.models.status import Status
from accounts.models.suppression import SuppressionChoice


class Domain(DomainLimits, SpamChoices, SendAsChoice, UsersReleaseChoice, SuppressionChoice):
    """A local domain: its users, aliases and lists live in it."""

    name = models.CharField(max_length=255, unique=True, validators=[validate_domain])
    status = models.CharField(max_length=10, choices=Status, default=Status.ENABLED)
    catch_all = models.CharField(
        _lazy("catch-all address"),
        max_length=254,
        blank=True,
        default="",
        validators=[validate_address],
        help_text=_lazy("Takes the mail of addresses that do not exist; empty to refuse them."),
    )
    description = models.CharField(max_length=200, blank=True, default="")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            self.name = normalise_domain(self.name)
        except InvalidAddress:
            # The field's own validator says so.
            return
        if self.name.startswith("["):
            raise ValidationError({"name": _("An address literal can't be a local domain; give it a name.")})
        self.catch_all = normalised_if_valid(self.catch_all)
