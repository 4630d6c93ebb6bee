"""Storing and removing rows, each with its record of who changed what, before → after: for page and command alike."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Model

from accounts import edits, history
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
from base import action as actions_of_all
from base import row_changes
from base.actions.action import Written
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
    "description",
)
_OF_LISTS = ("address", "owner", "posting", "enabled", *_BY_THE_HOUR, "subject_prefix", "description")
_WITH_USERS = tuple(field.name for field in UserLimits._meta.get_fields())
_FIELDS: dict[type[Model], tuple[str, ...]] = {
    User: _OF_USERS,
    Domain: _OF_DOMAINS,
    MailingList: _OF_LISTS,
    Alias: ("address", "enabled", "description"),
    UserDefaults: _WITH_USERS,
    DomainUserDefaults: _WITH_USERS,
    DomainDefaults: tuple(field.name for field in DomainLimits._meta.get_fields()),
}
_LABELS = {
    "forward_to": "forwarding",
    "messages_action": "beyond them",
    "bandwidth_action": "beyond it",
    "recipients_action": "beyond them",
    "bounces_action": "beyond them",
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
        name, pk = _name(row), row.pk
        row.delete()
        write(actor, f"remove {kind_of(row)}", name, "Removed", row=row)
        # Whoever still has the row at hand may want to say which one it was.
        row.pk = pk


def stored(row: Model) -> dict[str, Any]:
    """What to compare with, later: as the database has it now; empty for what is not there.

    A domain that has said nothing about new users gives them what the server does.
    """
    if isinstance(row, DomainUserDefaults):
        return row_changes.present(DomainUserDefaults.of(row.domain), _WITH_USERS)
    return row_changes.stored(row, _FIELDS.get(type(row)))


def describe(before: dict[str, Any], row: Model) -> str:
    """ "Forwarding: nobody → eve@example.net; messages per hour: 100 → 500." Empty when nothing was changed."""
    return row_changes.in_words(type(row), _difference(before, row), _LABELS)


def in_words(model: type[Model], before: dict[str, Any], now: dict[str, Any]) -> str:
    """The same of values by the names of their fields."""
    return row_changes.in_words(model, row_changes.difference(before, now), _LABELS)


def record(actor: Actor, before: dict[str, Any], row: Model, action: str = "", *, also: str = "") -> None:
    """Write down that a row is new, where there is nothing from `before`, or else what differs, if anything does.

    `also` is a sentence about what belongs to the row.
    """
    if (written := described(before, row, also=also)) is not None:
        usual = _usual(row, "change" if before else "add")
        write(actor, action or usual, written.on, written.outcome, row=row, parameters=dict(written.parameters))


def described(before: dict[str, Any], row: Model, *, also: str = "") -> Written | None:
    """What `record` writes down: for actions, which are recorded where they are done. None when nothing differs."""
    differing = _difference(before or row_changes.present(type(row)()), row)
    said = [_added(row)] if not before else [row_changes.in_words(type(row), differing, _LABELS)]
    text = "; ".join(part for part in (*said, also) if part)
    if not text:
        return None
    parameters = {"changed": row_changes.for_programs(differing)} if differing else {}
    return Written(_name(row), text[0].upper() + text[1:], parameters=parameters, about=row)


def write(
    actor: Actor, action: str, on: str, outcome: str, *, row: Model, parameters: dict[str, Any] | None = None
) -> None:
    """In the history of accounts too, for what belongs to them."""
    if row._meta.app_label != "accounts":
        actions_of_all.record(actor, action, on, outcome, parameters=parameters)
        return
    user = row if isinstance(row, User) else None
    history.record(actor, action, on, outcome, user=user, parameters=parameters)


def _difference(before: dict[str, Any], row: Model) -> dict[str, tuple[Any, Any]]:
    return row_changes.difference(before, row_changes.present(row, _FIELDS.get(type(row))))


def kind_of(row: Model) -> str:
    """What such rows are called in records."""
    if isinstance(row, Defaults):
        return "defaults"
    return "list" if isinstance(row, MailingList) else str(row._meta.verbose_name)


def _usual(row: Model, verb: str) -> str:
    if isinstance(row, OneRow) and not isinstance(row, Defaults):
        return "settings"
    # Made from the server's defaults at its first change.
    return f"{'change' if isinstance(row, Defaults) else verb} {kind_of(row)}"


def _added(row: Model) -> str:
    return f"Added as {row.get_role_display()}" if isinstance(row, User) else "Added"


def _name(row: Model) -> str:
    return row.domain.name if isinstance(row, DomainUserDefaults) else str(row)
