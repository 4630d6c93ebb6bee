"""The two tabs in the spool's section, with live counts (SPOOL_CONSOLE_TABS in settings)."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _lazy

from quarantine.console.columns import OF_ITEMS
from quarantine.filters import ItemFilter, count
from quarantine.models.item import ItemKind
from spool.console.tabs import Tab
from spool.filters import Count


def _spam() -> Count:
    return count(ItemFilter(kind=ItemKind.SPAM.value))


def _virus() -> Count:
    return count(ItemFilter(kind=ItemKind.VIRUS.value))


SPAM = Tab(_lazy("Spam Quarantine"), "admin:quarantine_item_spam", _spam, OF_ITEMS)
VIRUS = Tab(_lazy("Virus Quarantine"), "admin:quarantine_item_virus", _virus, OF_ITEMS)
