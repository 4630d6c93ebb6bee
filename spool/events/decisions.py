"""What the mail log says of stages: a message was throttled, held or quarantined, or made a stage fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from spool.events.line import Value
from spool.events.mail_log import Event, id_of
from spool.message.envelope import LeasedEntry, WaitUntil
from spool.models.entry import Status


def resting(resting: Iterable[tuple[LeasedEntry, WaitUntil]]) -> list[Event]:
    """The lines of entries that wait for something other than their next attempt, or the delay before it."""
    return [
        Event.of(
            "throttled" if verdict.status == Status.THROTTLED else "held",
            id_of(entry.file_name),
            by=verdict.status.value,
            why=verdict.reason,
            next=moment(verdict.due),
        )
        for entry, verdict in resting
        if verdict.status != Status.DELIVERY_DELAY
    ]


def failed(entry: LeasedEntry, count: int, why: str, due: datetime | None) -> Event:
    """The program failed on an entry, for the `count`th time; without `due` it is on hold now."""
    more: Mapping[str, Value] = {"next": moment(due)} if due is not None else {"held": "yes"}
    return Event.of("failed", id_of(entry.file_name), failures=count, why=why, **more)


def quarantined(file_name: str, kind: str, why: str, score: float | None, parent: str = "") -> Event:
    """`kind` is virus or spam; `parent` the message that it was a part of, when only some recipients were caught."""
    more: Mapping[str, Value] = {"parent": id_of(parent)} if parent else {}
    return Event.of(
        "quarantined", id_of(file_name), kind=kind, score=score if score is not None else "", why=why, **more
    )


def moment(at: datetime) -> str:
    """A time as it stands in lines, to the second."""
    return at.isoformat(timespec="seconds")
