"""What was changed about a user, in words: for the record of who changed what."""

from __future__ import annotations

from typing import Any

from accounts import history
from accounts.actor import Actor
from accounts.models import User

# In the order of how much they tell about a stolen account.
FIELDS = (
    "forward_to", "forward_keeps_copy", "role", "status", "email", "name", "mailbox_mb", "max_message_kb",
    "max_recipients",
)  # fmt: skip


def remember(user: User) -> dict[str, Any]:
    """What to compare with, later."""
    return {name: getattr(user, name) for name in FIELDS}


def stored(user: User) -> dict[str, Any]:
    """The same as the database has it now; empty for a user that is not there."""
    return User.objects.filter(pk=user.pk).values(*FIELDS).first() or {}


def describe(before: dict[str, Any], user: User) -> str:
    """ "Forwarding: nobody → eve@example.net; status: Enabled → Disabled." Empty when nothing was changed."""
    parts = []
    for name in FIELDS:
        now = getattr(user, name)
        if name in before and before[name] != now:
            field: Any = User._meta.get_field(name)
            label = "forwarding" if name == "forward_to" else str(field.verbose_name)
            parts.append(f"{label}: {_shown(name, before[name])} → {_shown(name, now)}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def record(actor: Actor, before: dict[str, Any], user: User) -> None:
    """Write down what differs, if anything does."""
    if text := describe(before, user):
        history.record(actor, "change user", user.email, text, user=user)


def _shown(name: str, value: Any) -> str:
    if name == "forward_to":
        return ", ".join(str(value).split()) or "nobody"
    if isinstance(value, bool):
        return "yes" if value else "no"
    field: Any = User._meta.get_field(name)
    return str(dict(field.flatchoices).get(value, value)) if field.choices else str(value) or "empty"
