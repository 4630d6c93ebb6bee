"""Whose password is looked at next, while many want theirs looked at."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from accounts import directory, logins
from accounts.models import Domain, User
from spool.smtpd import login_turns
from spool.smtpd.login_turns import LoginTurns, TooManyLogins

GUESSER, OTHER, US = "192.0.2.66", "192.0.2.77", "198.51.100.1"


class Looking:
    """Passwords that take as long as the test says, one at a time, and in which order they were looked at."""

    def __init__(self, patience_seconds: float = 30.0) -> None:
        self.turns = LoginTurns(threads=1, patience_seconds=patience_seconds)
        self.order: list[str] = []
        self._go = threading.Semaphore(0)

    def begin(self, ip: str, name: str = "") -> asyncio.Task[None]:
        def look() -> None:
            self.order.append(name or ip)
            assert self._go.acquire(timeout=20)

        return asyncio.ensure_future(self.turns.ask(ip, look))

    def let(self, count: int) -> None:
        self._go.release(count)


def in_a_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await test()

    asyncio.run(run())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_one_address_with_many_guesses_has_one_turn_like_any_other() -> None:
    async def test() -> None:
        looking = Looking()
        tasks = [looking.begin(GUESSER) for _ in range(10)]
        await settle()
        tasks.append(looking.begin(US))
        await settle()
        looking.let(11)
        await asyncio.gather(*tasks)
        assert looking.order.index(US) <= 2

    in_a_loop(test)


def test_neighbours_in_one_ipv6_network_share_a_turn() -> None:
    async def test() -> None:
        looking = Looking()
        tasks = [looking.begin(f"2001:db8::{number:x}", "guesser") for number in range(10)]
        await settle()
        tasks.append(looking.begin("2001:db8:0:1::1", "us"))
        await settle()
        looking.let(11)
        await asyncio.gather(*tasks)
        assert looking.order.index("us") <= 2

    in_a_loop(test)


def test_where_somebody_has_logged_in_before_waits_for_one_stranger_at_most() -> None:
    async def test() -> None:
        looking = Looking()
        looking.turns.succeeded(US)
        tasks = [looking.begin(f"192.0.2.{number}") for number in range(100)]
        await settle()
        tasks.append(looking.begin(US))
        await settle()
        looking.let(101)
        await asyncio.gather(*tasks)
        assert looking.order.index(US) <= 2

    in_a_loop(test)


def test_a_line_is_bounded_for_each_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_turns, "MOST_WAITING", 3)

    async def test() -> None:
        looking = Looking()
        tasks = [looking.begin(GUESSER) for _ in range(4)]
        await settle()
        with pytest.raises(TooManyLogins):
            await looking.begin(GUESSER)
        tasks.append(looking.begin(OTHER))
        looking.let(5)
        await asyncio.gather(*tasks)
        assert looking.order.count(GUESSER) == 4

    in_a_loop(test)


def test_nobody_waits_for_ever() -> None:
    async def test() -> None:
        looking = Looking(patience_seconds=0.01)
        first = looking.begin(GUESSER)
        await settle()
        with pytest.raises(TooManyLogins):
            await looking.begin(US)
        looking.let(1)
        await first

    in_a_loop(test)


def test_who_hangs_up_gives_their_place_away_but_not_the_turn_that_has_begun() -> None:
    async def test() -> None:
        looking = Looking()
        running, waiting, last = (looking.begin(ip) for ip in (GUESSER, OTHER, US))
        await settle()
        waiting.cancel()
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        await settle()
        assert looking.order == [GUESSER], "its thread is still at it"
        looking.let(2)
        await last
        assert looking.order == [GUESSER, US]

    in_a_loop(test)


@pytest.mark.django_db
def test_a_password_that_was_right_a_moment_ago_is_known_at_once_and_no_other() -> None:
    directory.forget()
    logins.forget()
    user = User.objects.create_user(
        "ann@turns.test", "a long password", domain=Domain.objects.create(name="turns.test")
    )
    assert directory.authenticate_quickly("ann@turns.test", "a long password") == (False, None)
    assert directory.authenticate("ann@turns.test", "a long password") is not None
    is_known, found = directory.authenticate_quickly(" Ann@turns.test", "a long password")
    assert is_known
    assert found is not None
    assert found.id == user.id
    assert directory.authenticate_quickly("ann@turns.test", "a wrong password") == (False, None)
    assert directory.authenticate_quickly("nobody@turns.test", "a long password") == (False, None)
    user.status = "disabled"
    user.save()
    assert directory.authenticate_quickly("ann@turns.test", "a long password") == (True, None)
