"""What is found out about a message in its session is found out once, whatever asks for it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from quarantine.engines import authentication
from quarantine.engines.examined import Examined
from quarantine.models import AntispamSettings, CheckKind
from quarantine.models.check import current_checks
from quarantine.spam.in_session import ContentCheck, examined_of
from spool.message.envelope import Submission
from spool.models.recipient import Kind
from tests.quarantine.spamming import CLIENT, EVE, a_check, a_mail, signed
from tests.spool.passing import ANN, FAR, Spool
from tests.support.messages import a_submission


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[Examined]:
    """The messages whose signatures were verified, each time."""
    found: list[Examined] = []
    verify = authentication._check_dkim

    def noted(examined: Examined) -> Any:
        found.append(examined)
        return verify(examined)

    monkeypatch.setattr(authentication, "_check_dkim", noted)
    return found


def test_signatures_are_verified_once_for_policy_and_spam(spool: Spool, verified: list[Examined]) -> None:
    spool.dns.add(f"_dmarc.{FAR}", "TXT", '"v=DMARC1; p=reject"')
    a_check(CheckKind.DMARC)
    a_check(CheckKind.DKIM)
    a_check(CheckKind.HEADER, 60, where="Subject", pattern="Lunch")
    current_checks()
    submission: Submission = a_submission(EVE, ANN, Kind.LOCAL, content=signed(a_mail(), spool))
    submission.envelope.client_ip = CLIENT
    settings = AntispamSettings(reject=True, reject_from=50, follow_dmarc="full")

    async def run() -> tuple[str, str]:
        # All questions to the database from one thread, which can let go of it.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        check = ContentCheck()
        examined = examined_of(submission, settings)
        try:
            policy = await check.against_policy(submission, examined, settings)
            return policy, await check.refuses(submission, examined, settings)
        finally:
            examined.close()
            await asyncio.to_thread(connections.close_all)

    policy, why = asyncio.run(run())
    assert policy == "" and why.startswith("60 points")
    assert len(verified) == 1


def test_what_was_given_up_is_found_out_by_who_asks_again() -> None:
    async def run() -> list[str]:
        examined = Examined(Path(), 0, EVE, held=b"")
        asked: list[str] = []

        async def work(answer: str, seconds: float) -> str:
            asked.append(answer)
            await asyncio.sleep(seconds)
            return answer

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await examined.once("x", lambda: work("late", 60))
        examined.close()
        return [
            *asked,
            await examined.once("x", lambda: work("soon", 0)),
            await examined.once("x", lambda: work("", 0)),
        ]

    assert asyncio.run(run()) == ["late", "soon", "soon"]
