"""What the audit says of the lists and of logins that were closed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.audit import sentences
from base.audit.sentences import Event
from base.numbers import grouped
from security.models import BlockKind, Direction, Protocol

_EXEMPT = {
    "auth_bypass": _lazy("sends without a login"),
    "spam_bypass": _lazy("no spam checks"),
    "login_bypass": _lazy("no login protection"),
}


def _listed(event: Event) -> str:
    given = event.parameters
    if "added" in given:
        return _many(given)
    if "kept_out" in given:
        if given.get("until"):
            said = _("%(number)s blocked until %(until)s")
        else:
            said = _("%(number)s blocked (never expires)")
        return said % {"number": grouped(given["kept_out"]), "until": _moment(given)}
    words = [str(Protocol(protocol).label) for protocol in given["protocols"]]
    words += [str(_EXEMPT[flag]) for flag in given.get("exempt", ())]
    return f"{_how(given)}: {', '.join(filter(None, [*words, _until(given)]))}"


def _blocked(event: Event) -> str:
    given = event.parameters
    direction = Direction(given["direction"]).label.lower()
    if "added" in given:
        return f"{_many(given)}: {direction}"
    return f"{_how(given)}: {BlockKind(given['kind']).label}, {direction}"


def _how(given: Mapping[str, Any]) -> str:
    return _("Added") if given["is_new"] else _("Changed")


def _many(given: Mapping[str, Any]) -> str:
    if given["left_out"]:
        said = _("%(added)s added, %(present)s were listed already, %(left_out)s left out")
    else:
        said = _("%(added)s added, %(present)s were listed already")
    return said % {name: grouped(given[name]) for name in ("added", "present", "left_out")}


def _until(given: Mapping[str, Any]) -> str:
    return _("until %(until)s") % {"until": _moment(given)} if given.get("until") else ""


def _moment(given: Mapping[str, Any]) -> str:
    return f"{datetime.fromisoformat(given['until']):%Y-%m-%d %H:%M %Z}" if given.get("until") else ""


def _removed(event: Event) -> str:
    return _("%(number)s removed") % {"number": grouped(event.done)}


def _opened(event: Event) -> str:
    return _("%(number)s opened") % {"number": grouped(event.done)}


def _closed(event: Event) -> str:
    given = event.parameters
    return _("Closed for %(minutes)s minutes after %(failures)s wrong passwords, the last by %(protocol)s") % {
        "minutes": given["minutes"],
        "failures": given["failures"],
        "protocol": given["protocol"],
    }


def _rules(event: Event) -> str:
    is_off = event.parameters.get("changed", {}).get("enabled") == [True, False]
    said = sentences.put_together(event)
    return _("%(changes)s; it is switched off") % {"changes": said} if is_off else said


sentences.of_titles(
    {
        "blacklist": _lazy("Blacklist"),
        "whitelist": _lazy("Whitelist"),
        "smtp-block": _lazy("Block SMTP"),
        "unblacklist": _lazy("Remove from the blacklist"),
        "unwhitelist": _lazy("Remove from the whitelist"),
        "unsmtp-block": _lazy("Unblock SMTP"),
        "login-block": _lazy("Close login"),
        "login-release": _lazy("Open login"),
        "login-rules": _lazy("Change login protection"),
    }
)
sentences.of_actions(
    {
        "blacklist": _listed,
        "whitelist": _listed,
        "smtp-block": _blocked,
        "unblacklist": _removed,
        "unwhitelist": _removed,
        "unsmtp-block": _removed,
        "login-block": _closed,
        "login-release": _opened,
        "login-rules": _rules,
    }
)
