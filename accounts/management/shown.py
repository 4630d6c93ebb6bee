"""Rows as people and programs read them."""

from __future__ import annotations

from typing import Any

from accounts import login_history
from accounts.fields import DEFAULTS, HOURLY, INHERIT_WORD, INHERITED
from accounts.models import Alias, Domain, DomainDefaults, MailingList, User, UserDefaults

MOST_NAMED = 5


def brief(row: Domain | User | Alias | MailingList) -> dict[str, Any]:
    """One line of a list."""
    if isinstance(row, Domain):
        return {"domain": row.name, "status": row.status, "catch_all": row.catch_all, "description": row.description}
    if isinstance(row, User):
        return {
            "user": row.email,
            "name": row.name,
            "role": row.role,
            "status": row.status,
            "forward_to": row.forward_addresses,
        }
    if isinstance(row, Alias):
        return {"alias": row.address, "enabled": row.enabled, "to": [target.address for target in row.targets.all()]}
    members = getattr(row, "member_total", None)
    return {
        "list": row.address,
        "enabled": row.enabled,
        "owner": row.owner.email if row.owner else "",
        "posting": row.posting,
        "members": row.members.count() if members is None else members,
    }


def whole(row: Domain | User | Alias | MailingList) -> dict[str, Any]:
    """All of one."""
    shown = brief(row)
    if isinstance(row, Domain):
        counts = {"users": row.users.count(), "aliases": row.aliases.count(), "lists": row.lists.count()}
        return {**shown, "suppression": row.suppression, **_limits(row, "domain"), **_inherited(row), **counts}
    if isinstance(row, User):
        login = login_history.last_login(row)
        last = login.at.isoformat(timespec="seconds") if login.at else ""
        kept = {"forward_keeps_copy": row.forward_keeps_copy}
        return {
            **shown,
            **kept,
            **_limits(row, "user"),
            **_inherited(row),
            "last_login": last,
            "last_login_by": login.protocol,
        }
    if isinstance(row, Alias):
        return {**shown, "description": row.description}
    hourly = {field: getattr(row, field) for field in HOURLY}
    own = {"subject_prefix": row.subject_prefix, "rewrite_from": row.rewrite_from, "unsubscribe": row.unsubscribe}
    return {**shown, **own, **hourly, "description": row.description}


def defaults(row: DomainDefaults | UserDefaults) -> dict[str, Any]:
    """What new ones start with."""
    return _limits(row, "domain" if isinstance(row, DomainDefaults) else "user")


def _limits(row: Any, kind: str) -> dict[str, Any]:
    return {field: getattr(row, field) for field in DEFAULTS[kind].options}


def _inherited(row: Domain | User) -> dict[str, Any]:
    return {field: getattr(row, field) or INHERIT_WORD for field in INHERITED if hasattr(row, field)}


def as_text(value: Any) -> str:
    """A value in a table's cell."""
    if isinstance(value, list):
        more = f" and {len(value) - MOST_NAMED} more" if len(value) > MOST_NAMED else ""
        return ", ".join(value[:MOST_NAMED]) + more
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
