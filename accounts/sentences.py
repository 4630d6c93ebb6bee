"""What the audit says of accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts import changes
from accounts.connections.registry import Dropped
from accounts.models import Role, Status
from accounts.transfer.importer import FATES
from base.audit import sentences
from base.audit.sentences import Event, few_in_words


def _new(role: Any) -> str:
    return f"Added as {Role(role).label}" if role in Role.values else "Added"


def _targets(given: Mapping[str, Any]) -> str:
    before, after = few_in_words(given["before"]), few_in_words(given["after"]) or "nobody"
    return f"delivers to: {before} → {after}" if before else f"delivers to {after}"


def _members(given: Mapping[str, Any]) -> str:
    said = []
    for what in ("added", "removed"):
        count = given[what]["count"] if what in given else 0
        if count:
            said.append(f"{'1 member' if count == 1 else f'{count:,} members'} {what}: {few_in_words(given[what])}")
    return "; ".join(said)


def _rows(given: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{kind} {what}: {few_in_words(of_kind[what])}"
        for kind, of_kind in given.items()
        for what in ("added", "changed", "removed")
        if what in of_kind
    )


def _mail_to(given: Mapping[str, Any]) -> str:
    return f"Mail to {given['address']}: {'sent again' if given['enabled'] else 'not sent any more'}"


def _imported(role: Any) -> str:
    return f"Imported as {Role(role).label}" if role in Role.values else "Imported"


def _imported_member(given: Mapping[str, Any]) -> str:
    values = sentences.of_values("list member", given["changed"]) if "changed" in given else "imported"
    return f"{given['address']}: {values[:1].lower()}{values[1:]}"


def _propagated(event: Event) -> str:
    if "propagated" not in event.parameters:
        # What it was for one of them.
        return sentences.put_together(event)
    given = event.parameters["propagated"]
    kind = given["kind"]
    values = sentences.ordered(kind, given["values"]).items()
    said = ", ".join(f"{sentences.field(kind, name)} {value}" for name, value in values)
    return f"{said}: {given['changed']} changed"


def _drop(event: Event) -> str:
    return Dropped(**event.parameters["dropped"]).sentence


def _status(event: Event) -> str:
    before, after = (Status(value).label for value in event.parameters["changed"]["status"])
    return f"Status: {after}" if before == after else f"Status: {before} → {after}"


def _place(event: Event) -> str:
    given = event.parameters
    if given["place"] == "ended":
        return f"{given['by']} may no longer be in the user's place; the session was ended"
    return f"{'Took' if given['place'] == 'taken' else 'Left'} the user's place"


def _exported(event: Event) -> str:
    return f"As {event.parameters['format']}, {'with' if event.parameters['hashes'] else 'without'} hashes"


def _import(event: Event) -> str:
    fates = event.parameters["fates"]
    order = sorted(fates, key=FATES.index)
    return ", ".join(f"{fates[fate]:,} {fate}" for fate in order) or "nothing in it"


sentences.of_actions(
    {
        "drop connections": _drop,
        "export accounts": _exported,
        "import accounts": _import,
        "manage user": _place,
        "propagate defaults": _propagated,
        "status": _status,
        "password": lambda event: "The password was changed",
    }
)
sentences.of_parameters(
    {
        "new": _new,
        "imported": _imported,
        "imported_member": _imported_member,
        "targets": _targets,
        "members": _members,
        "rows": _rows,
        "member": _mail_to,
        "password": lambda _: "The password was changed",
    }
)
sentences.in_order(changes.FIELDS)
sentences.of_fields(
    {
        "forward_to": "forwarding",
        "messages_action": "beyond them",
        "bandwidth_action": "beyond it",
        "recipients_action": "beyond them",
        "bounces_action": "beyond them",
    }
)
