"""What domains and users want done with spam that comes in; the quarantine's stage does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _

from base.texts import Text


class SpamAction(models.TextChoices):
    """What becomes of an inbound message of one level."""

    NONE = "none", _("Deliver it as it is")
    HEADERS = "headers", _("Mark its header and subject")
    JUNK = "junk", _("Deliver it into the Junk folder")
    DELETE = "delete", _("Delete it")


class SpamFilter(models.TextChoices):
    """Whether the levels count at all."""

    ON = "on", _("On")
    OFF = "off", _("Off: deliver all mail as it is")


class UsersRelease(models.TextChoices):
    """What users do with spam of their own in quarantine."""

    ASK = "ask", _("Request release from their administrators")
    RELEASE = "release", _("Release it themselves")


# What an empty choice leaves the decision to.
INHERIT = ""


def _choice(name: Text, choices: type[models.TextChoices], help_text: Text) -> models.CharField[str, str]:
    return models.CharField(
        name,
        max_length=7,
        blank=True,
        default=INHERIT,
        choices=[(INHERIT, _("Use the default")), *choices.choices],
        help_text=help_text,
    )


class SpamChoices(models.Model):
    """Mixed into domains and users. What a user leaves empty the domain decides, what it leaves empty the server."""

    spam_filter = _choice(_("spam filter"), SpamFilter, _("Whether anything is done about incoming spam."))
    spam_low = _choice(_("spam, low"), SpamAction, _("What to do with a message that may be spam."))
    spam_medium = _choice(_("spam, medium"), SpamAction, _("What to do with a message that is probably spam."))
    spam_high = _choice(_("spam, high"), SpamAction, _("What to do with a message that is almost certainly spam."))

    class Meta:
        abstract = True


class UsersReleaseChoice(models.Model):
    """Mixed into domains. What one leaves empty the server decides."""

    users_release = models.CharField(
        _("users can"),
        max_length=7,
        blank=True,
        default=INHERIT,
        db_default=INHERIT,
        choices=[(INHERIT, _("Use the default")), *UsersRelease.choices],
        help_text=_("What users do with spam of their own in quarantine."),
    )

    class Meta:
        abstract = True


SPAM_FIELDS = tuple(field.name for field in SpamChoices._meta.fields)


@dataclass(frozen=True, slots=True)
class Wishes:
    """The choices of one domain or user: values of SpamFilter and SpamAction, or "" for none."""

    filter: str = INHERIT
    low: str = INHERIT
    medium: str = INHERIT
    high: str = INHERIT


NO_WISHES = Wishes()


def wishes_of(row: SpamChoices) -> Wishes:
    """What a row says; most say nothing, and share one value."""
    if not (row.spam_filter or row.spam_low or row.spam_medium or row.spam_high):
        return NO_WISHES
    return Wishes(row.spam_filter, row.spam_low, row.spam_medium, row.spam_high)


def is_off(wishes: Sequence[Wishes]) -> bool:
    """Whether nothing at all is to be done about spam, by those who are heard, in their order."""
    return next((one.filter for one in wishes if one.filter), SpamFilter.ON) == SpamFilter.OFF
