"""What a pass does with the stages before delivery: shows entries where they are, and writes what is left for later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from django.conf import settings as django_settings
from django.db import DataError, OperationalError

from spool.flow import passes
from spool.message.envelope import LeasedEntry
from spool.models import Entry, Settings
from spool.models.entry import Status
from spool.rows import statements
from spool.stages import Stage, StageContext, Verdict
from tests.spool.passing import Spool

SECONDS = 0.3


class Look(Stage):
    """Looks at each entry for SECONDS, and then notes that it has; `seen` is what the console says meanwhile."""

    status = Status.VIRUS_CHECK
    seen: list[str]
    answers: list[Exception]

    def wants(self, entry: LeasedEntry, context: StageContext) -> bool:
        return True

    async def run(self, batch: Sequence[LeasedEntry], context: StageContext) -> Mapping[int, Verdict]:
        await asyncio.sleep(SECONDS)
        self.seen += await context.in_database(lambda: [entry.status for entry in Entry.objects.all()])
        context.later(self._note)
        return {}

    def _note(self) -> None:
        if self.answers:
            raise self.answers.pop()
        statements.execute("UPDATE spool_settings SET delay_notice_hours = 7", ())


@pytest.fixture(autouse=True)
def stage(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> type[Look]:
    monkeypatch.setattr(Look, "seen", [], raising=False)
    monkeypatch.setattr(Look, "answers", [], raising=False)
    monkeypatch.setattr(django_settings, "SPOOL_STAGES", [f"{__name__}.Look", "spool.stages.Delivery"])
    return Look


@pytest.mark.parametrize(("slow", "shown"), [(0.05, Status.VIRUS_CHECK), (60.0, Status.REMOTE_DELIVERY)])
def test_an_entry_that_is_in_a_stage_for_long_is_shown_there(
    spool: Spool, stage: type[Look], monkeypatch: pytest.MonkeyPatch, slow: float, shown: Status
) -> None:
    marks: list[Status | None] = []
    mark = passes.Rounds.mark

    def noted(rounds: passes.Rounds, ids: Sequence[int], status: Status | None) -> None:
        marks.append(status)
        mark(rounds, ids, status)

    monkeypatch.setattr(passes, "SLOW_SECONDS", slow)
    monkeypatch.setattr(passes.Rounds, "mark", noted)
    spool.take()
    spool.work()
    assert stage.seen == [shown]
    # Where it was never shown in the stage, nothing has to be written when it leaves it.
    assert marks == ([Status.VIRUS_CHECK, None] if shown is Status.VIRUS_CHECK else [])
    assert len(spool.peer.taken) == 1


@pytest.mark.parametrize(("problem", "hours"), [(None, 7), (OperationalError("away"), 7), (DataError("never"), 4)])
def test_what_is_left_for_later_is_written_unless_the_database_will_never_take_it(
    spool: Spool, stage: type[Look], problem: Exception | None, hours: int
) -> None:
    spool.settings(delay_notice_hours=4)
    stage.answers += [problem] if problem else []
    spool.take()
    spool.take()
    spool.work()
    assert stage.answers == []
    assert Settings.load().delay_notice_hours == hours
    assert Entry.objects.count() == 0
    assert len(spool.peer.taken) == 2
