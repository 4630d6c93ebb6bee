"""The verbs of `manage.py account user …` for an account that may be in wrong hands."""

from __future__ import annotations

import sys
from typing import Any

from django.utils import timezone

from accounts import connections, containing, history
from accounts.actor import Actor
from accounts.management.terminal import printable
from accounts.models import Containment, User
from accounts.securing import Refused

MOST_SHOWN = 200
Rows = list[dict[str, Any]]


def connected(options: dict[str, Any]) -> Rows:
    """`connections`: who is connected."""
    found = connections.listing(Actor.at_the_shell(), user=options["user"], ip=options["ip"])
    for problem in found.problems:
        sys.stderr.write(f"{printable(problem)}\n")
    return [
        {
            "protocol": one.protocol,
            "user": one.user,
            "ip": one.ip,
            "since": one.since.isoformat(timespec="seconds") if one.since else "",
            "messages": "" if one.messages is None else one.messages,
            "detail": one.detail,
        }
        for one in found.connections
    ]


def _drop(user: User, options: dict[str, Any]) -> Rows:
    dropped = connections.drop(Actor.at_the_shell(), user=user)
    for problem in dropped.problems:
        sys.stderr.write(f"{printable(problem)}\n")
    return [{"user": user.email, "smtp": dropped.smtp, "web": dropped.web, "mailbox": dropped.mailbox}]


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


def _contain(user: User, options: dict[str, Any]) -> Rows:
    done = containing.contain(Actor.at_the_shell(), user, password=options["password"])
    return [{"user": user.email, "done": " ".join(done.done)}]


def _uncontain(user: User, options: dict[str, Any]) -> Rows:
    found = Containment.objects.open().filter(user=user).first()
    if found is None:
        raise Refused(f"{user} is not contained.")
    done = containing.undo(Actor.at_the_shell(), found, old_password=options["old_password"])
    return [{"user": user.email, "done": done}]


VERBS = {"drop": _drop, "logins": _logins, "history": _history, "contain": _contain, "uncontain": _uncontain}
