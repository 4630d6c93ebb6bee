"""What a domain or user may do with mail."""

from django.db import models


class Status(models.TextChoices):
    """The three states of a domain or a user."""

    ENABLED = "enabled", "Enabled"
    DISABLED = "disabled", "Disabled"
    RECEIVING = "receiving", "Disable and Allow Mail"

    @property
    def may_send(self) -> bool:
        return self is Status.ENABLED

    @property
    def may_receive(self) -> bool:
        return self is not Status.DISABLED
