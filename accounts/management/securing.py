"""What `manage.py account user …` shows of an account that may be in wrong hands, and of what was done to it."""

from __future__ import annotations

import sys
from typing import Any

from django.utils import timezone

from accounts import connections, containing, history
from accounts.actor import Actor
from accounts.connections import Dropped
from accounts.management.terminal import printable
from accounts.models import AppPassword, SecondFactor, User
from accounts.sign_in import factors
from base.actions.perform import Done

MOST_SHOWN = 200
Rows = list[dict[str, Any]]


def connected(options: dict[str, Any]) -> Rows:
    """`connections`: who is connected."""
    found = connections.listing(Actor.at_the_shell(), user=options["user"], ip=options["ip"])
    for problem in found.problems:
        sys.stderr.write(f"{printable(str(problem))}\n")
    return [
        {
            "protocol": one.protocol,
            "user": one.user,
            "ip": one.ip,
            "since": one.since.isoformat(timespec="seconds") if one.since else "",
            "messages": "" if one.messages is None else one.messages,
            "detail": one.detail,
            "machine": one.machine,
        }
        for one in found.connections
    ]


def _logins(user: User, options: dict[str, Any]) -> Rows:
    now = timezone.now()
    return [
        {
            "last": seen.login.last.isoformat(timespec="seconds"),
            "protocol": seen.login.protocol,
            "ip": seen.login.ip,
            "count": seen.login.count,
            "new": seen.is_new,
            "agent": seen.login.agent,
        }
        for seen in containing.logins_of(user, now, now)
    ]


def _history(user: User, options: dict[str, Any]) -> Rows:
    return [
        {
            "at": event.at.isoformat(timespec="seconds"),
            "actor": event.actor,
            "action": event.action,
            "outcome": event.outcome,
        }
        for event in history.of_user(user)[:MOST_SHOWN]
    ]


def _dropped(user: User, done: Done) -> Rows:
    dropped: Dropped = done.result
    for problem in dropped.problems:
        sys.stderr.write(f"{printable(str(problem))}\n")
    return [{"user": user.email, "smtp": dropped.smtp, "web": dropped.web, "mailbox": dropped.mailbox}]


def _told(user: User, done: Done) -> Rows:
    return [{"user": user.email, "done": done.sentence}]


def _factors(user: User, options: dict[str, Any]) -> Rows:
    if options["remove"]:
        return [{"user": user.email, "done": factors.remove_all(Actor.at_the_shell(), user)}]
    rows: list[tuple[str, str, SecondFactor | AppPassword]]
    rows = [("second factor", str(one), one) for one in factors.of(user)]
    rows += [("application password", one.name, one) for one in AppPassword.objects.filter(user=user)]
    return [
        {
            "kind": kind,
            "name": name,
            "created": row.created.isoformat(timespec="seconds"),
            "last_used": row.last_used.isoformat(timespec="seconds") if row.last_used else "",
        }
        for kind, name, row in rows
    ]


# What looks (or removes what is lost), and what is said of actions that leave more to tell than the row.
LOOKS = {"factors": _factors, "logins": _logins, "history": _history}
SAID = {"drop": _dropped, "contain": _told, "uncontain": _told, "forwarding": _told}
