"""What a domain or user may do with mail."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """The three states of a domain or a user."""

    ENABLED = "enabled", _("Enabled")
    DISABLED = "disabled", _("Disabled")
    RECEIVING = "receiving", _("Disable and Allow Mail")

    @property
    def may_send(self) -> bool:
        return self is Status.ENABLED

    @property
    def may_receive(self) -> bool:
        return self is not Status.DISABLED
