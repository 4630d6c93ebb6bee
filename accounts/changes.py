"""What was changed about a user, domain, list or defaults, in words: for the record of who changed what."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.forms.models import model_to_dict

from accounts import history
from accounts.actor import Actor
from accounts.models import Defaults, Domain, DomainDefaults, DomainUserDefaults, MailingList, User, UserDefaults
from accounts.models.limits import DomainLimits, SendingLimits, UserLimits
from accounts.models.spam import SPAM_FIELDS

Row = User | Domain | MailingList | Defaults

_BY_THE_HOUR = tuple(field.name for field in SendingLimits._meta.get_fields())
# In the order of how much they tell about a stolen account.
_OF_USERS = (
    "forward_to", "forward_keeps_copy", "role", "status", "send_as", "email", "name", "mailbox_mb", "max_message_kb",
    "max_recipients", *_BY_THE_HOUR, *SPAM_FIELDS,
)  # fmt: skip
_OF_DOMAINS = (
    "name", "catch_all", "send_as", "max_users", "max_message_kb", "max_recipients", *_BY_THE_HOUR, "bounces_per_hour",
    "bounces_action", *SPAM_FIELDS,
)  # fmt: skip
_OF_LISTS = ("address", "owner", "posting", "enabled", *_BY_THE_HOUR)
_WITH_USERS = tuple(field.name for field in UserLimits._meta.get_fields())
_FIELDS: dict[type[Model], tuple[str, ...]] = {
    User: _OF_USERS, Domain: _OF_DOMAINS, MailingList: _OF_LISTS, UserDefaults: _WITH_USERS,
    DomainUserDefaults: _WITH_USERS, DomainDefaults: tuple(field.name for field in DomainLimits._meta.get_fields()),
}  # fmt: skip
_LABELS = {
    "forward_to": "forwarding", "messages_action": "beyond them", "bandwidth_action": "beyond it",
    "recipients_action": "beyond them", "bounces_action": "beyond them",
}  # fmt: skip


def stored(row: Row) -> dict[str, Any]:
    """What to compare with, later: as the database has it now; empty for what is not there.

    A domain that has said nothing about new users gives them what the server does.
    """
    if isinstance(row, DomainUserDefaults):
        return model_to_dict(DomainUserDefaults.of(row.domain), _WITH_USERS)
    return type(row)._default_manager.filter(pk=row.pk).values(*_FIELDS[type(row)]).first() or {}


def describe(before: dict[str, Any], row: Row) -> str:
    """ "Forwarding: nobody → eve@example.net; messages per hour: 100 → 500." Empty when nothing was changed."""
    now = {name: getattr(row, type(row)._meta.get_field(name).attname) for name in _FIELDS[type(row)]}  # type: ignore[union-attr]
    return in_words(type(row), before, now)


def in_words(model: type[Model], before: dict[str, Any], now: dict[str, Any]) -> str:
    """The same of values by the names of their fields."""
    parts = []
    for name, value in now.items():
        if name in before and before[name] != value:
            field: Any = model._meta.get_field(name)
            label = _LABELS.get(name, str(field.verbose_name))
            parts.append(f"{label}: {_shown(field, before[name])} → {_shown(field, value)}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def record(actor: Actor, before: dict[str, Any], row: Row, action: str = "") -> None:
    """Write down what differs, if anything does."""
    if text := describe(before, row):
        name = row.domain.name if isinstance(row, DomainUserDefaults) else str(row)
        history.record(actor, action or f"change {_kind(row)}", name, text, user=row if isinstance(row, User) else None)


def _kind(row: Row) -> str:
    if isinstance(row, Defaults):
        return "defaults"
    return "list" if isinstance(row, MailingList) else str(row._meta.model_name)


def _shown(field: Any, value: Any) -> str:
    if field.name == "forward_to":
        return ", ".join(str(value).split()) or "nobody"
    if field.is_relation:
        related = field.related_model._default_manager.filter(pk=value).first()
        return str(related) if related is not None else "nobody"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.choices:
        # "Delay: send it as the limit allows" explains itself; its first word will do.
        return str(dict(field.flatchoices).get(value, value)).partition(":")[0]
    return f"{value:,}" if isinstance(value, int) else str(value) or "empty"
