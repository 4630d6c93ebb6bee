"""Questions that sessions ask together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from spool.smtpd.batched_questions import Together


def test_those_who_ask_while_a_question_is_on_its_way_share_the_next_one() -> None:
    asked: list[list[int]] = []

    async def double(questions: Sequence[int]) -> list[int]:
        asked.append(list(questions))
        await asyncio.sleep(0.01)
        return [2 * one for one in questions]

    async def all_of_them() -> list[int]:
        together = Together(double, 3)
        first = asyncio.ensure_future(together.ask(1))
        await asyncio.sleep(0.005)
        return [*await asyncio.gather(*(together.ask(one) for one in (2, 3, 4, 5))), await first]

    assert asyncio.run(all_of_them()) == [4, 6, 8, 10, 2]
    assert asked == [[1], [2, 3, 4], [5]]


def test_a_failure_is_told_to_each_who_asked_and_the_next_are_answered() -> None:
    async def halve(questions: Sequence[int]) -> list[float]:
        return [1 / one for one in questions]

    async def asked_in_turn() -> list[object]:
        together = Together(halve, 10)
        failed = await asyncio.gather(together.ask(0), together.ask(2), return_exceptions=True)
        return [*(type(one) for one in failed), await together.ask(4)]

    assert asyncio.run(asked_in_turn()) == [ZeroDivisionError, ZeroDivisionError, 0.25]


def test_one_who_no_longer_waits_keeps_nobody_from_the_answer() -> None:
    async def same(questions: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.01)
        return list(questions)

    async def one_leaves() -> int:
        together = Together(same, 10)
        leaving, staying = asyncio.ensure_future(together.ask(1)), asyncio.ensure_future(together.ask(2))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        return await staying

    assert asyncio.run(one_leaves()) == 2
