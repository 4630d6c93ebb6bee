"""Letting go what waits because of limits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext
from redis.exceptions import RedisError

from accounts.actor import Actor as AccountsActor
from accounts.models import Metric
from base.actions.action import Change, Refused, Target
from base.actions.perform import perform
from base.numbers import grouped
from spool.actions import Actor, audit
from spool.actions.verb import Tally
from spool.events.actions import MOST_LINES, done_by
from spool.flow import doorbell
from spool.models.entry import Entry
from spool.rows import statements
from throttling import bounces, events, notices
from throttling.actions.subjects import LimitAction, subject_in, target_of
from throttling.counting import ledger, limits, windows
from throttling.counting.state import Window
from throttling.holding import releases
from throttling.models import HeldEntry
from throttling.subjects import Subject

log = logging.getLogger(__name__)


class NothingToRelease(Refused):
    """Nothing waits, and nothing is counted against a limit."""


@dataclass(frozen=True, slots=True)
class Released:
    """What a release did, or would do."""

    subject: Subject
    messages: int
    events: int

    @property
    def sentence(self) -> str:
        return ngettext(
            "%(who)s is released: %(number)s message goes now, and counting begins anew.",
            "%(who)s is released: %(number)s messages go now, and counting begins anew.",
            self.messages,
        ) % {"who": self.subject, "number": grouped(self.messages)}


class Release(LimitAction):
    """What waits goes now, and counting begins anew."""

    name, label, icon = "release", _lazy("Release now"), "play_arrow"
    # It lets messages go, as verbs do, and is written down as they are: before, and then what became of it.
    in_transaction = False

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"dry_run": given.get("dry_run", False)}

    def is_due(self, target: Target) -> bool:
        return events.of(subject_in(target)).exists()

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        held = _waiting(subject_in(target)).count()
        said = _("No message is held by it.")
        if held:
            said = ngettext(
                "%(number)s held message goes now, whatever the limits, and counts for nobody.",
                "%(number)s held messages go now, whatever the limits, and count for nobody.",
                held,
            ) % {"number": grouped(held)}
        return said + " " + _("What was counted of the last hour is forgotten; the limits stay as they are.")

    def do(self, actor: AccountsActor, target: Target, parameters: Mapping[str, Any]) -> Change:
        subject = subject_in(target)
        lasting, waiting = events.of(subject), _waiting(subject)
        would = Released(subject, waiting.count(), lasting.count())
        if not would.messages and not would.events and not _is_counted(subject):
            raise NothingToRelease(
                _("%(who)s is not throttled: nothing waits, and nothing was counted.") % {"who": subject}
            )
        if parameters["dry_run"]:
            return Change(would.sentence, result=would)
        now = timezone.now()
        event = audit.begin(actor, "throttle release", str(subject), matched=would.messages)
        with statements.write_transaction():
            names = Entry.objects.filter(id__in=waiting.values("entry_id")).values_list("file_name", flat=True)
            done_by(event, "released", list(names[:MOST_LINES]))
            count = releases.let_go(subject, now)
            ended = lasting.update(ended=now, until=now, ended_by=actor.name[:254])
            if not ended:
                events.write_down_release(subject, actor.name, now)
        ledger.forget(subject)
        _clear_counters(subject)
        doorbell.ring()
        audit.end(event, Tally(count))
        released = Released(subject, count, ended)
        return Change(released.sentence, result=released)


RELEASE = Release()


def release(actor: Actor, subject: Subject, *, dry_run: bool = False) -> Released:
    """Have all that waits for a subject go now, and begin to count anew. Raises NotAllowed, NothingToRelease.

    What goes by this counts for nobody. With `dry_run` nothing is done but said.
    """
    done: Released = perform(RELEASE, actor, target_of(subject), {"dry_run": dry_run}).result
    return done


def _waiting(subject: Subject) -> QuerySet[HeldEntry]:
    return HeldEntry.objects.filter(kind=subject.kind, name=subject.name)


def _is_counted(subject: Subject) -> bool:
    counted = [Window(subject, limit.metric) for limit in limits.of(subject) if limit.metric != Metric.BOUNCES]
    try:
        return any(state.used for state in windows.look(counted).values())
    except RedisError:
        return True


def _clear_counters(subject: Subject) -> None:
    bounces.forget()
    events.forget()
    notices.forget()
    try:
        windows.clear(subject)
    except RedisError as error:
        log.warning("Redis is away, and begins anew when it is back: %s", error)
        windows.mistrust()
