"""What `manage.py block` and `manage.py allow` share: how entries read, and how one agrees."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from base.actions.action import SingleAction
from base.actions.options import add_inputs, given
from base.numbers import grouped
from security.actions import networks_in
from security.models import BlacklistEntry, SMTPBlock, WhitelistEntry
from spool.shell.command import add_verb
from spool.shell.output import NOTHING, Ended, Output


def add_action(
    verbs: Any, name: str, action: SingleAction[Any], run: Callable[[dict[str, Any], Output], None]
) -> argparse.ArgumentParser:
    """The parser of a verb that does an action; what it is done to is the caller's."""
    parser: argparse.ArgumentParser = add_verb(verbs, name, action.summary, run)
    add_inputs(parser, action)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    return parser


def said(action: SingleAction[Any], options: dict[str, Any]) -> dict[str, Any]:
    """What the options of `add_action` say."""
    return {**given(action, options), "dry_run": options["dry_run"]}


def words(options: dict[str, Any], name: str) -> list[str]:
    """What stands on the command line, or else on standard input: one to a line, # begins a remark."""
    typed: list[str] = options[name]
    found = typed or networks_in(sys.stdin.read())
    if not found:
        raise Ended(NOTHING, "Nothing to do.")
    return found


def time_left(until: Any) -> str:
    """ "2 h 5 min", or when it was over."""
    if until is None:
        return _("never expires")
    minutes = int((until - timezone.now()).total_seconds() // 60)
    if minutes < 0:
        return _("expired")
    if minutes < 60:
        return f"{max(minutes, 1)} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    days = minutes // 1440
    return ngettext("%(number)s day", "%(number)s days", days) % {"number": grouped(days)}


def as_row(entry: BlacklistEntry | WhitelistEntry | SMTPBlock) -> dict[str, Any]:
    """One line of a list."""
    if isinstance(entry, SMTPBlock):
        return {
            "pattern": entry.pattern,
            "type": entry.kind,
            "direction": entry.direction,
            "source": entry.source,
            "code": f"S{entry.pk}",
            "description": entry.description,
        }
    protocols = ", ".join(protocol.value for protocol in entry.protocols)
    if isinstance(entry, BlacklistEntry):
        return {
            "network": entry.network,
            "protocols": protocols,
            "source": entry.source,
            "expires": entry.expires_at.isoformat(timespec="seconds") if entry.expires_at else "",
            "code": f"B{entry.pk}",
            "description": entry.description,
        }
    return {
        "network": entry.network,
        "protocols": protocols,
        "auth_bypass": entry.auth_bypass,
        "spam_bypass": entry.spam_bypass,
        "login_bypass": entry.login_bypass,
        "description": entry.description,
    }
