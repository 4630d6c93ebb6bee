"""Where the console edits a row: the admin site's page of it, or for the server's settings a page for each section."""

from __future__ import annotations

from django.db.models import Model
from django.urls import reverse

from mailspool.setting_pages.places import places
from spool.models import Settings


def pages_of(row: Model) -> list[str]:
    """All pages whose forms together edit the row."""
    if isinstance(row, Settings):
        return [place.link for place in places() if place.model is Settings]
    return [reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])]


def page_with(row: Model, name: str) -> str:
    """The page whose form has that field."""
    if isinstance(row, Settings):
        return next(place.link for place in places() if place.model is Settings and name in place.section.names)
    [page] = pages_of(row)
    return page
