"""Signs of life of programs that do not run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from spool.models.machine import Machine, Program
from spool.monitoring import programs
from spool.monitoring.names import DRAIN, machine


def a_program(
    kind: str,
    on: str = "",
    *,
    number: int = 1,
    ago_seconds: float = 0.0,
    drains: bool = False,
    busy: int = 0,
    **shows: Any,
) -> Program:
    """What a program of a machine (this one unless `on` says another) has told so long ago."""
    name = on or machine()
    now = timezone.now()
    row_of_machine, _ = Machine.objects.get_or_create(name=name, defaults={"since": now})
    if drains:
        shows = {DRAIN: programs.drain_named(row_of_machine.drain_since), **shows}
    row = Program(
        key=f"{name}|{kind}|{name}|{number}",
        machine=name,
        kind=kind,
        host=name,
        pid=number,
        version="9.9",
        born=now,
        drains=drains,
        busy=busy,
        shows=shows,
    )
    programs.tell(row)
    Program.objects.filter(key=row.key).update(seen=F("seen") - timedelta(seconds=ago_seconds))
    return row


def all_programs(on: str = "", **fields: Any) -> None:
    """One of each kind that a machine needs."""
    for kind in programs.NEEDED:
        a_program(kind, on, **fields)
