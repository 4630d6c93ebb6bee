"""Which programs are alive on which machines, by their signs of life: the one place that says so.

Rows in the database, of which each program writes its own every few seconds; ages are by the database's clock, so that
the machines' need not agree. Who has to know it often and must not wait for the database, as workers and listeners do,
asks for what their own heart has read last (`known`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings as django_settings
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from spool.models.machine import Duty, Machine, Program
from spool.monitoring.names import WORKERS, machine
from spool.rows import statements

ALIVE_SECONDS: Final = 30
# A program that nobody has missed for so long was taken away.
FORGOTTEN: Final = timedelta(days=7)
# What a machine needs to take mail in and deliver it.
NEEDED: Final = ("listeners", "workers", "maintenance", "scheduler")
# Whoever has a duty and says nothing for so long has it no more.
DUTY: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Seen:
    """One program and how it was when it last told of itself."""

    key: str
    machine: str
    kind: str
    host: str
    pid: int
    version: str
    born: datetime
    seen: datetime
    age_seconds: float
    drains: bool
    busy: int
    shows: dict[str, Any]

    @property
    def is_alive(self) -> bool:
        return self.age_seconds < ALIVE_SECONDS


@dataclass(frozen=True, slots=True)
class Live:
    """How many workers share limits. At least one each: whoever asks is one, though its first sign of life may be to
    come."""

    here: int
    everywhere: int


@dataclass(frozen=True, slots=True)
class Known:
    """What this process knows of the machines, as of its last sign of life.

    `drain` is since when this machine drains, as text; empty when it takes mail.
    """

    live: Live
    drain: str = ""


# The environment says how many workers there are to be, and their signs of life how many there are.
_known = Known(Live(max(1, django_settings.MAILSPOOL_WORKERS), max(1, django_settings.MAILSPOOL_WORKERS)))


def known() -> Known:
    """Costs nothing. While the database is away it stays as it was."""
    return _known


def learn(now_known: Known) -> None:
    """Have `known` say this from now on."""
    global _known
    _known = now_known


def is_draining() -> bool:
    """Whether this machine is to take nothing new."""
    return bool(_known.drain)


def every() -> list[Seen]:
    """All programs that have not ended in order, dead or alive: one query. Raises django.db.Error."""
    age = ExpressionWrapper(Now() - F("seen"), output_field=DurationField())
    return [
        Seen(
            row.key,
            row.machine,
            row.kind,
            row.host,
            row.pid,
            row.version,
            row.born,
            row.seen,
            max(0.0, row.age.total_seconds()),
            row.drains,
            row.busy,
            row.shows,
        )
        for row in Program.objects.annotate(age=age).order_by("machine", "kind", "born", "key")
    ]


def alive(on: str = "") -> list[Seen]:
    """Those that are alive, on one machine or all. Raises django.db.Error."""
    return [one for one in every() if one.is_alive and (not on or one.machine == on)]


def live_among(seen: Iterable[Seen]) -> Live:
    """How many workers take mail: those that drain no more, once what they had in hand is done."""
    at_work = [one for one in seen if one.kind == WORKERS and one.is_alive and (one.busy or not one.drains)]
    return Live(max(1, sum(one.machine == machine() for one in at_work)), max(1, len(at_work)))


def tell(row: Program) -> None:
    """Write a sign of life, in one statement. Raises django.db.Error."""
    row.seen = Now()
    with statements.relaxed_transaction():
        Program.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["version", "seen", "drains", "busy", "shows"],
        )


def look() -> Known:
    """What is to be known, read anew. Raises django.db.Error."""
    here = Machine.objects.filter(name=machine()).first()
    if here is None:
        # Its first sign of life, or it was forgotten in the meantime.
        Machine.objects.bulk_create([Machine(name=machine(), since=Now())], ignore_conflicts=True)
    return Known(live_among(every()), drain_named(here.drain_since if here is not None else None))


def drain_named(since: datetime | None) -> str:
    """The drain that began then, as programs say that they know of it."""
    return since.isoformat() if since is not None else ""


def end(key: str) -> None:
    """This program ends because it was asked to: nobody is to miss it. Raises django.db.Error."""
    Program.objects.filter(key=key).delete()


def tidy() -> None:
    """Forget programs that died and have a successor, or were never missed. Raises django.db.Error."""
    seen = every()
    successors = {(one.machine, one.kind) for one in seen if one.is_alive}
    gone = [
        one.key
        for one in seen
        if not one.is_alive and ((one.machine, one.kind) in successors or one.age_seconds > FORGOTTEN.total_seconds())
    ]
    if gone:
        Program.objects.filter(key__in=gone, seen__lt=Now() - timedelta(seconds=ALIVE_SECONDS)).delete()


def forget_those_here() -> None:
    """Drop the signs of an earlier run on this machine, whose programs are known to be gone. Raises django.db.Error."""
    Program.objects.filter(machine=machine()).delete()


def take_duty(name: str, holder: str) -> bool:
    """Whether a program has a duty, which nobody else has then for `DUTY`; by the database's clock.

    Raises django.db.Error.
    """
    if _take(name, holder):
        return True
    Duty.objects.bulk_create([Duty(name=name, until=Now())], ignore_conflicts=True)
    return _take(name, holder)


def _take(name: str, holder: str) -> bool:
    mine = Duty.objects.filter(name=name, holder=holder) | Duty.objects.filter(name=name, until__lte=Now())
    return bool(mine.update(holder=holder, until=Now() + DUTY))


def leave_duty(name: str, holder: str) -> None:
    """Let others have it at once. Raises django.db.Error."""
    Duty.objects.filter(name=name, holder=holder).update(holder="", until=Now())
