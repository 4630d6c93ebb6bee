"""The dialogs of Resend, Delete and Move, and doing them. Thin doors to spool.actions."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from quarantine.actions.exports import export
from quarantine.actions.selection import ItemSelection
from quarantine.console.actions import button_named
from quarantine.console.list_views import URL_NAMES
from quarantine.filters import ItemFilter
from quarantine.models.item import ItemKind
from spool.console.actions import Button
from spool.console.dialogs import Dialogs, chosen_ids
from spool.filters import BadFilter

_KINDS: Final[dict[str, ItemKind]] = {name: kind for kind, name in URL_NAMES.items()}


def _button(request: HttpRequest, name: str) -> Button | None:
    """The button of the list that is open, or of the one message that is."""
    return button_named(name, _KINDS.get(request.POST.get("page", ""), ItemKind.VIRUS))


def _selection(request: HttpRequest) -> ItemSelection:
    """All that match the list's filter, or the chosen ones. Raises BadFilter."""
    if request.POST.get("all") == "1":
        kind = _KINDS.get(request.POST.get("page", ""))
        if kind is None:
            raise BadFilter(_("It is not said which quarantine is meant."))
        return ItemSelection.of(ItemFilter.from_query(QueryDict(request.POST.get("query", "")), kind=kind.value))
    return ItemSelection.of(chosen_ids(request))


_DIALOGS: Final = Dialogs("admin:quarantine_item", _button, "quarantine-resend", _selection, export, "quarantine")
dialog, perform = require_POST(_DIALOGS.dialog), require_POST(_DIALOGS.perform)
