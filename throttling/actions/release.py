"""Letting go what waits because of limits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.actor import Actor as AccountsActor
from accounts.models import Metric
from base.actions.action import Change, Refused, Target
from base.actions.perform import perform
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
        went = "1 message goes" if self.messages == 1 else f"{self.messages:,} messages go"
        return f"{self.subject} is released: {went} now, and counting begins anew."


class Release(LimitAction):
    """What waits goes now, and counting begins anew."""

    name, label, icon = "release", "Release now", "play_arrow"
    # It lets messages go, as verbs do, and is written down as they are: before, and then what became of it.
    in_transaction = False

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"dry_run": given.get("dry_run", False)}

    def is_due(self, target: Target) -> bool:
        return events.of(subject_in(target)).exists()

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        held = _waiting(subject_in(target)).count()
        goes = "1 held message goes" if held == 1 else f"{held:,} held messages go"
        said = f"{goes} now, whatever the limits, and count for nobody." if held else "No message is held by it."
        return f"{said} What was counted of the last hour is forgotten; the limits stay as they are."

    def do(self, actor: AccountsActor, target: Target, parameters: Mapping[str, Any]) -> Change:
        subject = subject_in(target)
        lasting, waiting = events.of(subject), _waiting(subject)
        would = Released(subject, waiting.count(), lasting.count())
        if not would.messages and not would.events and not _is_counted(subject):
            raise NothingToRelease(f"{subject} is not throttled: nothing waits, and nothing was counted.")
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
