"""What the audit says of the lists and of logins that were closed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from base.audit import sentences
from base.audit.sentences import Event
from security.models import BlockKind, Direction, Protocol

_EXEMPT = {
    "auth_bypass": "sends without a login",
    "spam_bypass": "no spam checks",
    "login_bypass": "no login protection",
}


def _listed(event: Event) -> str:
    given = event.parameters
    if "added" in given:
        return _many(given)
    if "kept_out" in given:
        return f"{given['kept_out']:,} blocked {_until(given) or '(never expires)'}"
    words = [str(Protocol(protocol).label) for protocol in given["protocols"]]
    words += [_EXEMPT[flag] for flag in given.get("exempt", ())]
    return f"{_how(given)}: {', '.join(filter(None, [*words, _until(given)]))}"


def _blocked(event: Event) -> str:
    given = event.parameters
    direction = Direction(given["direction"]).label.lower()
    if "added" in given:
        return f"{_many(given)}: {direction}"
    return f"{_how(given)}: {BlockKind(given['kind']).label}, {direction}"


def _how(given: Mapping[str, Any]) -> str:
    return "Added" if given["is_new"] else "Changed"


def _many(given: Mapping[str, Any]) -> str:
    left_out = f", {given['left_out']:,} left out" if given["left_out"] else ""
    return f"{given['added']:,} added, {given['present']:,} were listed already{left_out}"


def _until(given: Mapping[str, Any]) -> str:
    return f"until {datetime.fromisoformat(given['until']):%Y-%m-%d %H:%M %Z}" if given.get("until") else ""


def _removed(event: Event) -> str:
    return f"{event.done:,} removed"


def _closed(event: Event) -> str:
    given = event.parameters
    return (
        f"Closed for {given['minutes']} minutes after {given['failures']} wrong passwords, the last by"
        f" {given['protocol']}"
    )


def _rules(event: Event) -> str:
    is_off = event.parameters.get("changed", {}).get("enabled") == [True, False]
    return f"{sentences.put_together(event)}{'; it is switched off' if is_off else ''}"


sentences.of_actions(
    {
        "blacklist": _listed,
        "whitelist": _listed,
        "smtp-block": _blocked,
        "unblacklist": _removed,
        "unwhitelist": _removed,
        "unsmtp-block": _removed,
        "login-block": _closed,
        "login-release": lambda event: f"{event.done:,} opened",
        "login-rules": _rules,
    }
)
