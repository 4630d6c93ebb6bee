"""Mail about limits: at 80 % and at the limit, once an hour, to those whom it concerns."""

from __future__ import annotations

import pytest

from accounts import actions as accounts_actions
from accounts.models import Role, User
from tests.throttling.conftest import ANN, HERE, Throttled
from throttling.models import ThrottleNotice, ThrottleSettings

BOSS = f"boss@{HERE}"


@pytest.fixture
def boss(throttled: Throttled) -> str:
    """An administrator of the domain."""
    user = User(email=BOSS, domain=accounts_actions.get_domain(HERE), role=Role.DOMAIN_ADMINISTRATOR)
    user.set_unusable_password()
    user.save()
    return BOSS


def told(throttled: Throttled, address: str = ANN) -> list[str]:
    throttled.spool.work()
    return [str(message["Subject"]) for message in throttled.spool.mailbox(address)]


def test_both_levels_are_told_once_to_the_user_and_the_administrator(throttled: Throttled, boss: str) -> None:
    throttled.limit(messages_per_hour=5)
    throttled.send(3)
    assert told(throttled) == []
    close = f"Messages Out: the limit of {ANN} is used to 80 %"
    full = f"Messages Out: the limit of {ANN} is reached"
    throttled.send(1)
    throttled.spool.work()
    assert told(throttled) == told(throttled, boss) == [close]
    throttled.send(4)
    throttled.spool.work()
    assert told(throttled) == told(throttled, boss) == [close, full]
    assert ThrottleNotice.objects.count() == 2


def test_the_notice_says_what_happens_and_is_no_ordinary_message(throttled: Throttled) -> None:
    throttled.limit(messages_per_hour=1)
    throttled.send(2)
    throttled.spool.work()
    throttled.spool.work()
    [message] = throttled.spool.mailbox()
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Return-Path"] == "<>"
    text = message.get_content()
    assert "has sent 1 message in the last hour, of 1 allowed" in text
    assert "What is sent beyond it waits, and goes by itself" in text


def test_another_hour_is_another_notice(throttled: Throttled) -> None:
    throttled.limit(messages_per_hour=1, messages_action="none")
    throttled.send(1)
    throttled.spool.work()
    assert len(told(throttled)) == 1
    throttled.later(hours=2, minutes=1)
    from throttling import notices

    notices.forget()
    throttled.send(1)
    throttled.spool.work()
    assert len(told(throttled)) == 2


def test_nobody_is_told_where_the_settings_say_so(throttled: Throttled, boss: str) -> None:
    row = ThrottleSettings.load()
    row.notify_users = row.notify_administrators = False
    row.save()
    throttled.forget()
    throttled.limit(messages_per_hour=1)
    throttled.send(2)
    throttled.spool.work()
    assert told(throttled) == told(throttled, boss) == []


def test_the_owner_of_a_list_is_told_of_its_limit(throttled: Throttled) -> None:
    news = accounts_actions.add_list(f"news@{HERE}", ["bob@far.test"], owner=ANN)
    accounts_actions.change(news, messages_per_hour=1)
    throttled.spool.take_for_us(b"Subject: News\r\n\r\nx\r\n", f"news@{HERE}", "x@far.test")
    throttled.spool.work()
    assert told(throttled) == [f"Messages Out: the limit of news@{HERE} is reached"]
