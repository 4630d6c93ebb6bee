"""Storing and removing the entries of any list: the one place where they are checked and audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts import edits
from base.actions.action import Change, Refused, Target, Written
from base.actions.perform import perform
from base.numbers import grouped
from security import lists
from security.addresses import BadNetwork, Network, parse_network
from security.audit import SecurityAction, written
from security.models import BlacklistEntry, SMTPBlock, WhitelistEntry
from spool.actions.actor import Actor

Row = TypeVar("Row", BlacklistEntry, WhitelistEntry, SMTPBlock)

# SQLite allows 32,766 parameters in a statement.
CHUNK = 5_000
_NAMES: dict[type, str] = {BlacklistEntry: "blacklist", WhitelistEntry: "whitelist", SMTPBlock: "smtp-block"}


class Store(SecurityAction):
    """Stores an entry of a list, new or changed."""

    name, label = "store", _lazy("Save")
    kinds = ("entry",)
    menu_kinds = ()

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        [row] = target.rows
        return Change((_("%(row)s is saved.") % {"row": row}), [stored(row, by=actor.name)], row)


class Remove(SecurityAction):
    """Removes entries of a list."""

    name, label = "remove", _lazy("Remove")
    kinds = ("entry",)
    menu_kinds = ()

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        found = list(target.rows[0])
        return Change(number_removed(len(found)), removed(found), len(found))


def number_removed(number: int) -> str:
    """What is said of so many."""
    return _("%(number)s removed.") % {"number": grouped(number)}


_STORE, _REMOVE = Store(), Remove()


def save(actor: Actor, row: Row) -> Row:
    """Store a new or changed entry. Raises NotAllowed, Refused."""
    done: Row = perform(_STORE, actor, Target.holding("entry", row)).result
    return done


def remove(actor: Actor, rows: QuerySet[Row]) -> int:
    """Remove entries; how many. Raises NotAllowed; Refused for the internal networks, which may be changed only."""
    count: int = perform(_REMOVE, actor, Target.holding("entry", rows)).result
    return count


def stored(row: Row, *, by: str) -> Written:
    """Check and store an entry, as a part of an action. Raises Refused."""
    is_new = row.pk is None
    row.created_by = row.created_by or by[:254]
    try:
        row.full_clean()
    except ValidationError as error:
        raise Refused(sentences(error)) from error
    if isinstance(row, BlacklistEntry) and (let_in := let_in_anyway(row)):
        raise Refused(let_in)
    edits.save(row)
    said = what(row)
    return written(_NAMES[type(row)], [row], row.pk, is_new=is_new, description=row.description, **said)


def removed(found: Sequence[BlacklistEntry | WhitelistEntry | SMTPBlock]) -> list[Written]:
    """Remove entries of one list, as a part of an action. Raises Refused."""
    for row in found:
        if isinstance(row, WhitelistEntry) and row.is_default:
            raise Refused(
                _("%(row)s is an internal network: it stays listed, but you may change what it is let off.")
                % {"row": row}
            )
    lists.changed()
    if not found:
        return []
    model = type(found[0])
    for start in range(0, len(found), CHUNK):
        model._default_manager.filter(pk__in=[row.pk for row in found[start : start + CHUNK]]).delete()
    return [written(f"un{_NAMES[model]}", found, found[0].pk if len(found) == 1 else None)]


def let_in_anyway(row: BlacklistEntry) -> str:
    """Why the entry would do nothing, in a sentence; "" when it would."""
    now = lists.current()
    network = row.as_network
    for protocol in row.protocols:
        around = now.whitelist[protocol].covers(network) if protocol in now.whitelist else None
        if around is not None:
            return _(
                "%(row)s is on the whitelist for %(protocol)s (by %(network)s), and the whitelist wins: take "
                "%(protocol)s off that entry first."
            ) % {"row": row, "protocol": protocol.label, "network": around.network}
    return ""


def what(row: BlacklistEntry | WhitelistEntry | SMTPBlock) -> dict[str, Any]:
    """What the entry does, for the audit (security.sentences)."""
    if isinstance(row, SMTPBlock):
        return {"kind": str(row.kind), "direction": str(row.direction)}
    protocols = [protocol.value for protocol in row.protocols]
    if isinstance(row, BlacklistEntry):
        return {"protocols": protocols, "until": row.expires_at.isoformat() if row.expires_at else ""}
    flags = ("auth_bypass", "spam_bypass", "login_bypass")
    return {"protocols": protocols, "exempt": [flag for flag in flags if getattr(row, flag)]}


def sentences(error: ValidationError) -> str:
    """What is wrong, with the field where the sentence does not say it."""
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(
        " ".join(texts) if field in (NON_FIELD_ERRORS, "network", "pattern") else f"{field}: {' '.join(texts)}"
        for field, texts in error.message_dict.items()
    )


def parse(network: str) -> Network:
    """`parse_network`, refusing what is none."""
    try:
        return parse_network(network)
    except BadNetwork as error:
        raise Refused(str(error)) from error
