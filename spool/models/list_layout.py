"""How somebody wants a list to look."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _lazy


class Density(models.TextChoices):
    """How much room a row takes."""

    COMFORTABLE = "comfortable", _lazy("Comfortable")
    COMPACT = "compact", _lazy("Compact")


class ListLayout(models.Model):
    """A list's columns in their order, its density and the rows of a page, for the one user who chose them."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="list_layouts")
    page = models.CharField(max_length=60, help_text="Name of the page's URL.")
    columns = models.JSONField(default=list, help_text="Names of the columns.")
    density = models.CharField(max_length=11, choices=Density, default=Density.COMFORTABLE)
    page_size = models.PositiveSmallIntegerField(default=50)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "page"], name="list_layout_page")]

    def __str__(self) -> str:
        return f"{self.page}: {', '.join(self.columns)}"
