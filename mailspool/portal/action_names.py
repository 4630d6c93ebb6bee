"""What the actions are called that an account's history has, for its owner: records have their codes."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

_NAMES: Final = {
    "add user": _("added"),
    "application password": _("application password"),
    "change user": _("changed"),
    "contain": _("contained"),
    "drop connections": _("connections ended"),
    "allow-sender": _("sender allowed"),
    "block-sender": _("sender blocked"),
    "unlist-sender": _("sender removed from the list"),
    "import accounts": _("imported"),
    "manage user": _("managed"),
    "password": _("password"),
    "propagate defaults": _("defaults applied"),
    "recovery codes": _("recovery codes"),
    "second factor": _("second factor"),
    "single sign-on": _("single sign-on"),
    "status": _("status"),
    "throttle set": _("limits"),
    "undo contain": _("restored"),
}


def of(action: str) -> str:
    """The name of an action; its code where another version or a plug-in has done it."""
    return str(_NAMES.get(action, action))
