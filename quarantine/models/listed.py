"""Senders that users have listed, each for their own mailbox."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import ValidationError
from django.db import Error as DatabaseError
from django.db import models, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, key_of, normalise_address, normalise_domain
from accounts.models import User
from base.one_row import FRESH_SECONDS
from base.short_cache import ShortCache

# Of one user: more than people keep by hand, and so few that nobody fills the table.
MOST: Final = 500
LONGEST_PATTERN: Final = 254


class Listing(models.TextChoices):
    """What is to become of mail from a listed sender, for whom listed it."""

    ALLOW = "allow", _lazy("Allowed")
    BLOCK = "block", _lazy("Blocked")


class ListedSender(models.Model):
    """An address, or a domain with all below it, from which one user allows or blocks mail."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="listed_senders", db_index=False)
    pattern = models.CharField(_lazy("address or domain"), max_length=LONGEST_PATTERN)
    listing = models.CharField(max_length=5, choices=Listing)
    created = models.DateTimeField()

    class Meta:
        ordering = ["pattern"]
        constraints = [models.UniqueConstraint(fields=["user", "pattern"], name="listedsender_user_pattern")]

    def __str__(self) -> str:
        return self.pattern


def normal_sender(text: str) -> str:
    """The one spelling of an address or a domain (`*@example.org` is the domain). Raises ValidationError."""
    wanted = text.strip().lower().removeprefix("*").removeprefix("@")
    try:
        pattern = key_of(normalise_address(wanted)) if "@" in wanted else normalise_domain(wanted)
    except InvalidAddress as error:
        raise ValidationError(
            _("%(text)s is neither an address nor a domain.") % {"text": repr(text.strip()[:80])}
        ) from error
    if len(pattern) > LONGEST_PATTERN:
        raise ValidationError(_("An address has at most %(most)s characters.") % {"most": LONGEST_PATTERN})
    if "@" not in pattern and "." not in pattern:
        # It would be a whole top-level domain.
        raise ValidationError(_("Give the whole domain, as in %(name)s.example.") % {"name": pattern})
    return pattern


_any = ShortCache(FRESH_SECONDS, ListedSender.objects.exists, outlasts=(DatabaseError,), name="who has listed senders")


def any_listed() -> bool:
    """Whether anybody has listed a sender; asked at most once a second per process."""
    return _any.current()


def listing_changed() -> None:
    """Have this process ask again, once the transaction is committed; others do within a second."""
    transaction.on_commit(_any.expire)


def forget_listed() -> None:
    """Drop this process's copy."""
    _any.forget()
