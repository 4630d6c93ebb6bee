"""Having mail that waits looked at again: for when signatures, rules or weights have changed since it was."""

from __future__ import annotations

from typing import Final

from django.utils import timezone

from base.languages import in_source
from quarantine.models.antispam import AntispamSettings
from quarantine.models.antivirus import AntivirusSettings
from quarantine.models.item import ItemKind
from quarantine.models.scanned import Scanned
from spool.actions import Actor, Tally, audit

_SETTINGS: Final[dict[ItemKind, type[AntivirusSettings] | type[AntispamSettings]]] = {
    ItemKind.VIRUS: AntivirusSettings,
    ItemKind.SPAM: AntispamSettings,
}


def scan_again(kind: ItemKind, actor: Actor) -> int:
    """Have one check look again at each message that it has let pass and that waits, when that is tried next.

    How many there are. It is in effect within a second, in every process. Raises NotAllowed.
    """
    actor.require_actions()
    number = Scanned.objects.filter(kind=kind).count()
    what = in_source(lambda: f"waiting mail: {kind.label.lower()} check")
    event = audit.begin(actor, "scan-again", what, matched=number)
    row = _SETTINGS[kind].load()
    row.scan_again_since = timezone.now()
    row.save(update_fields=["scan_again_since"])
    audit.end(event, Tally(number))
    return number
