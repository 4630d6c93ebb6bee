"""The process that makes a listener's messages durable: what it answers, how it ends, and how it may die."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import patch

import pytest

from mailspool.home import Home
from spool.files import store
from spool.flow.intake import IntakeUnavailable
from spool.message.envelope import Submission
from spool.models import Entry
from spool.smtpd.batches import framed
from spool.smtpd.committer import Committer, serve
from tests.support.messages import a_submission

pytestmark = pytest.mark.usefixtures("redis")


def with_committer(work: Callable[[Committer, list[str]], Coroutine[Any, Any, None]]) -> None:
    """Run `work` with a committer and a list that says when it died."""
    deaths: list[str] = []

    async def run(committer: Committer) -> None:
        await committer.attach(lambda: deaths.append("died"))
        await work(committer, deaths)
        await committer.stop()

    committer = Committer()
    committer.start()
    asyncio.run(run(committer))


@pytest.mark.django_db(transaction=True)
def test_every_message_is_answered_with_the_name_of_its_own_file(home: Home) -> None:
    submissions = [a_submission(content=b"Subject: %d\r\n\r\nx\r\n" % number) for number in range(40)]
    names: list[str] = []

    async def work(committer: Committer, deaths: list[str]) -> None:
        names.extend(await asyncio.gather(*(committer.submit(submission) for submission in submissions)))
        assert committer.pending == 0

    with_committer(work)
    for number, name in enumerate(names):
        entry = Entry.objects.get(file_name=name)
        assert entry.subject == str(number)
        assert store.path_of(entry.subspool, name).read_bytes() == submissions[number].content


@pytest.mark.django_db(transaction=True)
def test_stopping_commits_what_is_queued(home: Home) -> None:
    futures: list[asyncio.Future[str]] = []

    async def work(committer: Committer, deaths: list[str]) -> None:
        futures.extend(committer.submit(a_submission()) for _ in range(10))

    with_committer(work)
    assert sorted(future.result() for future in futures) == sorted(Entry.objects.values_list("file_name", flat=True))


@pytest.mark.django_db(transaction=True)
def test_messages_without_an_answer_are_refused_when_it_dies(home: Home) -> None:
    async def work(committer: Committer, deaths: list[str]) -> None:
        spilled = store.new_incoming()
        spilled.parent.mkdir(parents=True)
        spilled.write_bytes(b"Subject: x\r\n\r\n")
        os.kill(committer._pid, signal.SIGSTOP)
        waiting = [
            committer.submit(a_submission()),
            committer.submit(Submission(a_submission().envelope, None, spilled)),
        ]
        os.kill(committer._pid, signal.SIGKILL)
        for answer in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(answer, IntakeUnavailable)
        assert deaths == ["died"]
        assert not spilled.exists()
        with pytest.raises(IntakeUnavailable):
            await committer.submit(a_submission())

    with_committer(work)
    assert not Entry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_sessions_of_one_moment_share_a_commit(home: Home) -> None:
    async def work(committer: Committer, deaths: list[str]) -> None:
        os.kill(committer._pid, signal.SIGSTOP)
        futures = [committer.submit(a_submission()) for _ in range(40)]
        os.kill(committer._pid, signal.SIGCONT)
        await asyncio.gather(*futures)

    with_committer(work)
    moments = Entry.objects.values_list("created", flat=True)
    assert len(moments) == 40
    assert len(set(moments)) <= 2


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_fails_is_refused_and_the_next_one_is_not(home: Home) -> None:
    async def work(committer: Committer, deaths: list[str]) -> None:
        with pytest.raises(IntakeUnavailable):
            await committer.submit(Submission(a_submission().envelope))
        assert await committer.submit(a_submission())
        assert deaths == []

    with_committer(work)


def _too_long() -> Submission:
    submission = a_submission()
    submission.envelope.envid = "x" * 1000
    return submission


def _no_text() -> Submission:
    """Half a character, which no encoding has: found only when the rows are written, after the files."""
    submission = a_submission()
    submission.envelope.envid = "\udc80"
    return submission


def _no_content() -> Submission:
    return Submission(a_submission().envelope)


@pytest.mark.parametrize(
    "bad", [pytest.param(_too_long, marks=pytest.mark.postgresql), _no_text, _no_content], ids=lambda bad: bad.__name__
)
@pytest.mark.django_db(transaction=True)
def test_one_message_that_can_not_be_kept_does_not_take_the_others_with_it(
    home: Home, bad: Callable[[], Submission]
) -> None:
    results: list[str | BaseException] = []

    async def work(committer: Committer, deaths: list[str]) -> None:
        os.kill(committer._pid, signal.SIGSTOP)
        answers = [committer.submit(submission) for submission in (a_submission(), bad(), a_submission())]
        os.kill(committer._pid, signal.SIGCONT)
        results.extend(await asyncio.gather(*answers, return_exceptions=True))

    with_committer(work)
    first, second, third = results
    assert isinstance(second, IntakeUnavailable)
    assert {first, third} == set(Entry.objects.values_list("file_name", flat=True))
    assert {path.name for path in home.spool.rglob("*.eml")} == {first, third}, "nor does it leave a file"


@pytest.mark.django_db(transaction=True)
def test_a_listener_that_died_leaves_nothing_behind_that_was_not_begun(home: Home) -> None:
    ours, theirs = socket.socketpair()
    ours.sendall(framed((a_submission(), 0))[:-1])
    ours.close()
    with patch("spool.smtpd.committer.signal.signal"):
        serve(theirs)
    assert not Entry.objects.exists()
