"""Storing and removing rows, each with its record of who changed what, before → after: for page and command alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Model

from accounts import edits
from accounts.actor import Actor
from accounts.models import (
    Alias,
    Defaults,
    Domain,
    DomainDefaults,
    DomainUserDefaults,
    MailingList,
    User,
    UserDefaults,
)
from accounts.models.limits import DomainLimits, SendingLimits, UserLimits
from accounts.models.spam import SPAM_FIELDS
from base import action as action_of_all
from base import row_changes
from base.actions.action import Written
from base.audit import sentences, subjects
from base.audit.subjects import subject_of
from base.one_row import OneRow

_BY_THE_HOUR = tuple(field.name for field in SendingLimits._meta.get_fields())
# In the order of how much they tell about a stolen account. A password and a status have records of their own.
_OF_USERS = (
    "forward_to",
    "forward_keeps_copy",
    "role",
    "status",
    "send_as",
    "email",
    "name",
    "language",
    "mailbox_mb",
    "max_message_kb",
    "max_recipients",
    *_BY_THE_HOUR,
    *SPAM_FIELDS,
)
_OF_DOMAINS = (
    "name",
    "catch_all",
    "send_as",
    "max_users",
    "max_message_kb",
    "max_recipients",
    *_BY_THE_HOUR,
    "bounces_per_hour",
    "bounces_action",
    *SPAM_FIELDS,
    "users_release",
    "suppression",
    "description",
)
_OF_LISTS = (
    "address",
    "owner",
    "posting",
    "enabled",
    *_BY_THE_HOUR,
    "subject_prefix",
    "rewrite_from",
    "unsubscribe",
    "description",
)
_WITH_USERS = tuple(field.name for field in UserLimits._meta.get_fields())
FIELDS: dict[type[Model], tuple[str, ...]] = {
    User: _OF_USERS,
    Domain: _OF_DOMAINS,
    MailingList: _OF_LISTS,
    Alias: ("address", "enabled", "description"),
    UserDefaults: _WITH_USERS,
    DomainUserDefaults: _WITH_USERS,
    DomainDefaults: tuple(field.name for field in DomainLimits._meta.get_fields()),
}


def save(actor: Actor, row: Model, action: str = "") -> list[str]:
    """Store a new row, or what was changed in one (accounts.edits), and write it down; the names of what differed."""
    with transaction.atomic():
        before = stored(row)
        changed = edits.save(row)
        record(actor, before, row, action)
    return changed


def remove(actor: Actor, row: Model) -> None:
    """Delete a row, and write it down."""
    with transaction.atomic():
        about, pk = subject_of(row), row.pk
        row.delete()
        action_of_all.record(actor, f"remove {kind_of(row)}", about.key, parameters={"removed": True}, about=about)
        # Whoever still has the row at hand may want to say which one it was.
        row.pk = pk


def stored(row: Model) -> dict[str, Any]:
    """What to compare with, later: as the database has it now; empty for what is not there.

    A domain that has said nothing about new users gives them what the server does.
    """
    if isinstance(row, DomainUserDefaults):
        return row_changes.present(DomainUserDefaults.of(row.domain), _WITH_USERS)
    return row_changes.stored(row, FIELDS.get(type(row)))


def describe(before: dict[str, Any], row: Model) -> str:
    """ "Forwarding: nobody → eve@example.net; messages per hour: 100 → 500." Empty when nothing was changed."""
    return sentences.of_values(subject_of(row).kind, for_programs(before, row))


def record(
    actor: Actor, before: dict[str, Any], row: Model, action: str = "", *, parts: Mapping[str, Any] | None = None
) -> None:
    """Write down that a row is new, where there is nothing from `before`, or else what differs, if anything does.

    `parts` are parameters about what belongs to the row.
    """
    if (written := described(before, row, parts=parts)) is not None:
        write(actor, action or _usual(row, "change" if before else "add"), row, written.parameters)


def described(before: dict[str, Any], row: Model, *, parts: Mapping[str, Any] | None = None) -> Written | None:
    """What `record` writes down: for actions, which are recorded where they are done. None when nothing differs."""
    changed = for_programs(before or row_changes.present(type(row)()), row)
    new: Any = row.role if isinstance(row, User) else True
    parameters = {**({} if before else {"new": new}), **({"changed": changed} if changed else {}), **(parts or {})}
    return Written(subject_of(row).key, parameters=parameters, about=row) if parameters else None


def write(actor: Actor, action: str, row: Model, parameters: Mapping[str, Any]) -> None:
    """Write down what was done to a row."""
    about = subject_of(row)
    action_of_all.record(actor, action, about.key, parameters=parameters, about=about)


def for_programs(before: dict[str, Any], row: Model) -> dict[str, list[Any]]:
    """Before and after of each value that is another in the row than it was."""
    now = row_changes.present(row, FIELDS.get(type(row)))
    return row_changes.for_programs(type(row), row_changes.difference(before, now))


def kind_of(row: Model) -> str:
    """What such rows are called in the codes of actions."""
    if isinstance(row, Defaults):
        return "defaults"
    return subjects.kind_of(row)


def _usual(row: Model, verb: str) -> str:
    if isinstance(row, OneRow) and not isinstance(row, Defaults):
        return "settings"
    # Made from the server's defaults at its first change.
    return f"{'change' if isinstance(row, Defaults) else verb} {kind_of(row)}"
