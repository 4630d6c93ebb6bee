"""Changing limits, and stopping who has sent too much."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from redis.exceptions import RedisError

from accounts import actions as accounts_actions
from accounts import changes, edits, securing
from accounts.account_actions import of_users
from accounts.actor import Actor as AccountsActor
from accounts.fields import HOURLY, HOURLY_OF_DOMAINS, excesses
from accounts.models import Domain, MailingList, Metric, Role, Status, ThrottleAction, User
from accounts.models.limits import MB
from base.actions.action import After, Change, Refused, Target, WayBack
from base.actions.inputs import Input
from base.actions.perform import perform
from base.numbers import grouped
from spool.actions import Actor, NotAllowed
from throttling import bounces, events
from throttling.actions.release import NothingToRelease
from throttling.actions.subjects import LimitAction, NoSuchSubject, require, row_of, subject_in, target_of
from throttling.counting import limits
from throttling.holding import releases
from throttling.subjects import Subject, SubjectKind
from throttling.wording import amount

log = logging.getLogger(__name__)

_FIELD_OF = {
    Metric.MESSAGES: "messages_per_hour",
    Metric.BANDWIDTH: "bandwidth_mb_per_hour",
    Metric.RECIPIENTS: "recipients_per_hour",
    Metric.BOUNCES: "bounces_per_hour",
}
_ACTION_OF = {
    "messages_per_hour": "messages_action",
    "bandwidth_mb_per_hour": "bandwidth_action",
    "recipients_per_hour": "recipients_action",
    "bounces_per_hour": "bounces_action",
}
_NUMBERS = (
    ("messages_per_hour", _lazy("Messages per hour"), "", "N", "messages sent"),
    (
        "bandwidth_mb_per_hour",
        _lazy("MB per hour"),
        "--bandwidth-per-hour",
        "MB",
        _lazy("size times recipients of what is sent"),
    ),
    ("recipients_per_hour", _lazy("Recipients per hour"), "", "N", _lazy("recipients of what is sent")),
    ("bounces_per_hour", _lazy("Bounces per hour"), "", "N", _lazy("bounces that a domain receives")),
)


class SetLimits(LimitAction):
    """Sets limits by the hour; 0 for none."""

    name, label, icon = "limits", _lazy("Set Limits"), "speed"
    kinds = (SubjectKind.USER.value, SubjectKind.LIST.value, SubjectKind.DOMAIN.value)
    recorded = "throttle set"
    menu_kinds = (SubjectKind.LIST.value, SubjectKind.DOMAIN.value)
    undoable = True
    hidden = tuple(_ACTION_OF.values())
    inputs = (
        *(
            Input(
                name,
                label,
                "number",
                help=_lazy("0 for none"),
                option=option,
                metavar=metavar,
                option_help=f"at most so many {text}",
            )
            for name, label, option, metavar, text in _NUMBERS
        ),
        Input(
            "action",
            _lazy("When exceeded"),
            "choice",
            choices=tuple(ThrottleAction.values),
            labels=tuple(ThrottleAction.labels),
            option_help="what happens beyond those named here, or beyond all",
        ),
    )

    def is_due(self, target: Target) -> bool:
        # Only of this server's own domains there is a row.
        return bool(target.rows)

    def inputs_for(self, target: Target) -> tuple[Input, ...]:
        known = HOURLY_OF_DOMAINS if target.kind == SubjectKind.DOMAIN else HOURLY
        return tuple(one for one in self.inputs if one.name in known)

    def suggested(self, target: Target) -> dict[str, Any]:
        return {one.name: getattr(target.rows[0], one.name) for one in self.inputs_for(target)} if target.rows else {}

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("The limits count at once; what is held goes as far as they allow. 0 is none.")

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().parameters(given)
        action = checked.pop("action")
        fields = {name: value for name, value in checked.items() if value is not None}
        fields |= {name: value for name, value in given.items() if name not in (*checked, "action", "dry_run")}
        if action:
            fields["action"] = action
        return {"fields": fields, "dry_run": given.get("dry_run", False)}

    def do(self, actor: AccountsActor, target: Target, parameters: Mapping[str, Any]) -> Change:
        subject = subject_in(target)
        row = row_of(subject)
        known = HOURLY_OF_DOMAINS if isinstance(row, Domain) else HOURLY
        fields = _with_actions(parameters["fields"], known)
        if unknown := sorted(fields.keys() - set(known)):
            raise NoSuchSubject(
                _("%(subject)s has no limit %(unknown)s; there are %(known)s.")
                % {"subject": subject, "unknown": unknown[0], "known": ", ".join(known)}
            )
        _require_within(actor, subject, fields)
        edits.remember(row)
        before = changes.stored(row)
        for name, value in fields.items():
            setattr(row, name, value)
        row.full_clean()
        if parameters["dry_run"]:
            return Change("", result=row)
        edits.save(row)
        entry = changes.described(before, row)

        def look_again(records: Sequence[Any]) -> After:
            bounces.forget()
            _wake(subject)
            return After()

        back = WayBack(self.name, target, {name: before[name] for name in fields})
        said = _("The limits of %(who)s are set.") % {"who": subject}
        return Change(said, [entry] if entry is not None else [], row, look_again, back)


class RaiseLimit(LimitAction):
    """Raises one limit: what is held is looked at again at once."""

    name, label, icon = "raise", _lazy("Raise limit"), "trending_up"
    kinds = SetLimits.kinds
    menu_kinds = ()
    undoable = True
    inputs = (Input("limit", _lazy("New limit"), "number"),)

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        text = str(given.get("limit", "")).strip()
        if not (text.isascii() and text.isdigit()) or len(text) > 9:
            raise Refused(_("Write the new limit as a whole number."))
        if given.get("metric") not in Metric.values:
            raise Refused(_("Say which limit: %(limits)s.") % {"limits": ", ".join(Metric.values)})
        return {"limit": int(text), "metric": Metric(given["metric"])}

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("What is held is looked at again at once, and goes in order as the new limit allows.")

    def do(self, actor: AccountsActor, target: Target, parameters: Mapping[str, Any]) -> Change:
        subject, metric, number = subject_in(target), parameters["metric"], parameters["limit"]
        limit = limits.limit_of(subject, metric)
        if limit is None:
            raise NothingToRelease(_("%(who)s has no limit for %(metric)s.") % {"who": subject, "metric": metric.label})
        wanted = number * MB if metric is Metric.BANDWIDTH else number
        if wanted <= limit.amount:
            raise NothingToRelease(
                _("That is not more than the limit of %(limit)s that there is.")
                % {"limit": amount(metric, limit.amount)}
            )
        change = SET_LIMITS.do(actor, target, {"fields": {_FIELD_OF[metric]: number}, "dry_run": False})
        said = _("The limit of %(who)s for %(metric)s is now %(limit)s an hour.") % {
            "who": subject,
            "metric": metric.label,
            "limit": grouped(number) + (" MB" if metric is Metric.BANDWIDTH else ""),
        }
        return replace(
            change, sentence=said, entries=[replace(one, action=SET_LIMITS.recorded) for one in change.entries]
        )


SET_LIMITS, RAISE_LIMIT = SetLimits(), RaiseLimit()


def set_limits(actor: Actor, subject: Subject, *, dry_run: bool = False, **fields: Any) -> User | MailingList | Domain:
    """Change the limits of a user, list or domain; what waits is looked at again at once.

    With `dry_run` the row is as it would be, and nothing is written. Raises NotAllowed, NoSuchSubject, ValidationError.
    """
    require(actor, subject)
    row_of(subject)
    done = perform(SET_LIMITS, actor, target_of(subject), {**fields, "dry_run": dry_run})
    row: User | MailingList | Domain = done.result
    return row


def raise_limit(actor: Actor, subject: Subject, metric: Metric, number: int) -> User | MailingList | Domain:
    """A new limit, in messages, MB, recipients or bounces, that must be more than the one there is.

    Raises as set_limits, and NothingToRelease.
    """
    row: User | MailingList | Domain
    row = perform(RAISE_LIMIT, actor, target_of(subject), {"metric": metric, "limit": number}).result
    return row


def raise_to(actor: Actor, subject: Subject, metric: Metric, text: str) -> str:
    """`raise_limit` by what somebody wrote; a sentence. Raises as that."""
    return perform(RAISE_LIMIT, actor, target_of(subject), {"metric": metric, "limit": text}).sentence


def disable(actor: Actor, subject: Subject) -> User:
    """Have a user neither log in nor send any more, but still receive; open connections end.

    Raises NotAllowed, NoSuchSubject.
    """
    require(actor, subject)
    row = row_of(subject)
    if not isinstance(row, User):
        raise NoSuchSubject(_("%(subject)s is no user.") % {"subject": subject})
    perform(securing.BY_STATUS[Status.RECEIVING], actor, of_users([row]))
    return row


def _with_actions(fields: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """The fields, with what happens beyond those that are named, or beyond all."""
    named = {name: value for name, value in fields.items() if name != "action"}
    if "action" not in fields:
        return named
    about = [name for name in named if name in _ACTION_OF] or [name for name in _ACTION_OF if name in known]
    return {**{_ACTION_OF[name]: fields["action"] for name in about}, **named}


def _require_within(actor: AccountsActor, subject: Subject, fields: dict[str, Any]) -> None:
    """Domain administrators grant no more than their domain has."""
    if actor.role is Role.SYSTEM_ADMINISTRATOR:
        return
    domain = accounts_actions.get_domain(subject.domain)
    for _name, sentence in excesses(domain, fields.items()):
        raise NotAllowed(sentence)


def _wake(subject: Subject) -> None:
    """Let go what has room under a new limit, and end what is over; the sweep does the same a few seconds later."""
    now = timezone.now()
    try:
        releases.wake_what_has_room(now, subject)
        events.review(subject, now)
    except RedisError as error:
        log.warning("Redis is away: %s", error)
