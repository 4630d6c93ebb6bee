"""What the page of a user, alias or list offers to a domain administrator."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from base.actions import registry
from mailspool.portal.access import Member

# The pages of the things, by their kind.
PAGES = {"user": "users", "alias": "aliases", "list": "lists"}


def offers(who: Member, kind: str, row: Any) -> list[dict[str, Any]]:
    """What the page of a row offers: labels, icons and links."""
    return [
        {
            "label": offer.action.label_of(offer.target),
            "icon": offer.action.icon,
            "danger": offer.action.danger,
            "link": reverse("portal:act", args=[kind, offer.action.name, row.pk]),
        }
        for offer in registry.actions_for(kind, str(row), who.actor)
    ]
