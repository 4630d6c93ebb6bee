"""What the audit says of accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from accounts import changes
from accounts.connections.registry import Dropped
from accounts.models import FactorKind, Role, Status
from accounts.transfer.importer import ADDED, CHANGED, REFUSED, SAME
from base.audit import sentences
from base.audit.sentences import Event, few_in_words
from base.numbers import grouped


def _new(role: Any) -> str:
    return _("Added as %(role)s") % {"role": Role(role).label} if role in Role.values else _("Added")


def _targets(given: Mapping[str, Any]) -> str:
    before, after = few_in_words(given["before"]), few_in_words(given["after"]) or _("nobody")
    if before:
        return _("delivers to: %(before)s → %(after)s") % {"before": before, "after": after}
    return _("delivers to %(after)s") % {"after": after}


def _members(given: Mapping[str, Any]) -> str:
    said = []
    added = given["added"]["count"] if "added" in given else 0
    removed = given["removed"]["count"] if "removed" in given else 0
    if added:
        said.append(
            ngettext("%(number)s member added: %(names)s", "%(number)s members added: %(names)s", added)
            % {"number": grouped(added), "names": few_in_words(given["added"])}
        )
    if removed:
        said.append(
            ngettext("%(number)s member removed: %(names)s", "%(number)s members removed: %(names)s", removed)
            % {"number": grouped(removed), "names": few_in_words(given["removed"])}
        )
    return "; ".join(said)


_OF_ROWS: Mapping[str, Any] = {
    "added": _lazy("%(kind)s added: %(names)s"),
    "changed": _lazy("%(kind)s changed: %(names)s"),
    "removed": _lazy("%(kind)s removed: %(names)s"),
}


def _rows(given: Mapping[str, Any]) -> str:
    return "; ".join(
        said % {"kind": sentences.kind_in_words(kind), "names": few_in_words(of_kind[what])}
        for kind, of_kind in given.items()
        for what, said in _OF_ROWS.items()
        if what in of_kind
    )


def _mail_to(given: Mapping[str, Any]) -> str:
    said = _("Mail to %(address)s: sent again") if given["enabled"] else _("Mail to %(address)s: not sent any more")
    return said % {"address": given["address"]}


def _imported(role: Any) -> str:
    return _("Imported as %(role)s") % {"role": Role(role).label} if role in Role.values else _("Imported")


def _imported_member(given: Mapping[str, Any]) -> str:
    values = sentences.of_values("list member", given["changed"]) if "changed" in given else _("imported")
    return f"{given['address']}: {values[:1].lower()}{values[1:]}"


def _propagated(event: Event) -> str:
    if "propagated" not in event.parameters:
        # What it was for one of them.
        return sentences.put_together(event)
    given = event.parameters["propagated"]
    kind = given["kind"]
    values = sentences.ordered(kind, given["values"]).items()
    said = ", ".join(f"{sentences.field(kind, name)} {sentences.value(kind, name, value)}" for name, value in values)
    return ngettext("%(fields)s: %(number)s changed", "%(fields)s: %(number)s changed", given["changed"]) % {
        "fields": said,
        "number": given["changed"],
    }


def _drop(event: Event) -> str:
    return Dropped(**event.parameters["dropped"]).sentence


def _status(event: Event) -> str:
    before, after = (Status(value).label for value in event.parameters["changed"]["status"])
    if before == after:
        return _("Status: %(status)s") % {"status": after}
    return _("Status: %(before)s → %(after)s") % {"before": before, "after": after}


def _app_password(event: Event) -> str:
    given = event.parameters
    if "created" in given:
        return _("Created “%(name)s”") % {"name": given["created"]}
    return _("Ended “%(name)s”") % {"name": given["ended"]}


def _recovery_codes(event: Event) -> str:
    if "made" in event.parameters:
        return _("New recovery codes were made")
    left = event.parameters["left"]
    return ngettext(
        "A recovery code was used; %(number)s is left", "A recovery code was used; %(number)s are left", left
    ) % {"number": left}


def _second_factor(event: Event) -> str:
    given = event.parameters
    if "added" in given:
        return _("Added: %(what)s") % {"what": _factors(given["added"])}
    said = _("Removed all: %(what)s") if given.get("all") else _("Removed: %(what)s")
    return said % {"what": _factors(given["removed_factors"])}


def _factors(named: Sequence[Sequence[str]]) -> str:
    return ", ".join(f"{FactorKind(kind).label} “{name}”" for kind, name in named)


def _single_sign_on(event: Event) -> str:
    given = event.parameters
    if "linked" in given:
        return _("Linked to %(identity)s") % {"identity": given["linked"]}
    return _("Unlinked from %(identity)s") % {"identity": given["unlinked"]}


def _place(event: Event) -> str:
    given = event.parameters
    if given["place"] == "ended":
        return _("%(who)s may no longer be in the user's place; the session was ended") % {"who": given["by"]}
    return _("Took the user's place") if given["place"] == "taken" else _("Left the user's place")


def _exported(event: Event) -> str:
    said = _("As %(format)s, with hashes") if event.parameters["hashes"] else _("As %(format)s, without hashes")
    return said % {"format": event.parameters["format"]}


# In the order in which they are told of.
_FATES = {ADDED: _lazy("added"), CHANGED: _lazy("changed"), SAME: _lazy("the same"), REFUSED: _lazy("refused")}


def _import(event: Event) -> str:
    fates = event.parameters["fates"]
    order = sorted(fates, key=list(_FATES).index)
    return ", ".join(f"{grouped(fates[fate])} {_FATES[fate]}" for fate in order) or _("nothing in it")


sentences.of_titles(
    {
        "change defaults": _lazy("Change defaults"),
        "contain": _lazy("Contain"),
        "undo contain": _lazy("Restore access"),
        "drop connections": _lazy("Drop connections"),
        "export accounts": _lazy("Export accounts"),
        "import accounts": _lazy("Import accounts"),
        "manage user": _lazy("Act in a user's place"),
        "propagate defaults": _lazy("Propagate defaults"),
        "status": _lazy("Change status"),
        "application password": _lazy("App password"),
        "password": _lazy("Change password"),
        "recovery codes": _lazy("Recovery codes"),
        "second factor": _lazy("Second factor"),
        "single sign-on": _lazy("Single sign-on"),
    }
)
sentences.of_actions(
    {
        "drop connections": _drop,
        "export accounts": _exported,
        "import accounts": _import,
        "manage user": _place,
        "propagate defaults": _propagated,
        "status": _status,
        "application password": _app_password,
        "password": lambda event: _("The password was changed"),
        "recovery codes": _recovery_codes,
        "second factor": _second_factor,
        "single sign-on": _single_sign_on,
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
        "password": lambda given: _("The password was changed"),
    }
)
sentences.in_order(changes.FIELDS)
sentences.of_fields(
    {
        "forward_to": _lazy("forwarding"),
        "messages_action": _lazy("beyond them"),
        "bandwidth_action": _lazy("beyond it"),
        "recipients_action": _lazy("beyond them"),
        "bounces_action": _lazy("beyond them"),
    }
)
