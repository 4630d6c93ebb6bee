"""Senders and hosts' names that are kept out: SMTP blocks."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _lazy

from security.models.networks import Source
from security.patterns import BadPattern, normal_pattern


class Direction(models.TextChoices):
    """Whose mail: that of the world for us, or that of our users for the world."""

    INBOUND = "inbound", _lazy("Inbound")
    OUTBOUND = "outbound", _lazy("Outbound")
    BOTH = "both", _lazy("Both")

    @property
    def parts(self) -> frozenset[Direction]:
        """INBOUND, OUTBOUND or both of them."""
        return frozenset({Direction.INBOUND, Direction.OUTBOUND} if self is Direction.BOTH else {self})

    @classmethod
    def of(cls, parts: frozenset[Direction]) -> Direction:
        return next(iter(parts)) if len(parts) == 1 else cls.BOTH


class BlockKind(models.TextChoices):
    """What the pattern is compared with."""

    ADDRESS = "address", _lazy("E-mail address")
    DOMAIN = "domain", _lazy("Domain")
    EHLO = "ehlo", _lazy("EHLO domain")


class SMTPBlock(models.Model):
    """Mail that is refused by its envelope sender, or by the name with which its host introduced itself.

    Not by the From header, which anybody can write as they like.
    """

    kind = models.CharField(_lazy("type"), max_length=7, choices=BlockKind, default=BlockKind.ADDRESS)
    pattern = models.CharField(
        max_length=254,
        help_text=_lazy(
            "ann@example.org, example.org, or with * for any text: *.example.org for all below a domain,"
            " newsletter-*@example.org. Compared with the envelope sender; an EHLO domain with the name that the host gives"
            " itself."
        ),
    )
    direction = models.CharField(
        max_length=8,
        choices=Direction,
        default=Direction.INBOUND,
        help_text=_lazy(
            "Inbound is mail from others; outbound is mail of your own users, and of hosts that need no login."
        ),
    )
    description = models.CharField(max_length=200, blank=True, default="")
    source = models.CharField(max_length=6, choices=Source, default=Source.MANUAL, editable=False)
    # What of `direction` the spool has added; `source` is of the block as a whole.
    spool_direction = models.CharField(
        _lazy("added in the spool"),
        max_length=8,
        choices=Direction,
        blank=True,
        default="",
        db_default="",
        editable=False,
    )
    created = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(_lazy("by"), max_length=254, blank=True, default="", editable=False)

    class Meta:
        verbose_name = _lazy("SMTP block")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["kind", "pattern"], name="one_block_for_a_pattern")]

    def __str__(self) -> str:
        return self.pattern

    @property
    def spool_parts(self) -> frozenset[Direction]:
        """What the spool may take back."""
        if self.spool_direction:
            return Direction(self.spool_direction).parts & Direction(self.direction).parts
        return Direction(self.direction).parts if self.source == Source.SPOOL else frozenset()

    def clean(self) -> None:
        """One spelling for each pattern. Raises ValidationError."""
        try:
            self.pattern = normal_pattern(self.pattern, self.kind)
        except BadPattern as error:
            if self.pattern:
                raise ValidationError({"pattern": str(error)}) from error
