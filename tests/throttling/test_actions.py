"""What administrators do: release, set, raise, disable; and who may."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts import actions as accounts_actions
from accounts.models import Metric, Role, Status, User
from spool.actions import Actor
from spool.models import AuditEvent, Entry
from tests.support.commands import Manage, manage_with
from tests.throttling.conftest import ANN, HERE, Throttled
from throttling import actions, tasks
from throttling.models import HeldEntry, ThrottleEvent
from throttling.subjects import Subject, SubjectKind

ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)
OF_HERE = Actor(f"boss@{HERE}", Role.DOMAIN_ADMINISTRATOR, HERE)
SUBJECT = Subject(SubjectKind.USER, ANN)
DOMAIN = Subject(SubjectKind.DOMAIN, HERE)


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return manage_with(capsys, monkeypatch, "throttling")


@pytest.fixture
def over(throttled: Throttled) -> Throttled:
    """ANN has sent five, of which two may go."""
    throttled.limit(messages_per_hour=2)
    throttled.send(5)
    throttled.spool.work()
    assert len(throttled.held()) == 3
    return throttled


def test_release_sends_all_that_waits_and_counts_anew(over: Throttled) -> None:
    released = actions.release(ROOT, SUBJECT)
    assert (released.messages, released.events) == (3, 1)
    over.spool.work()
    assert len(over.spool.peer.taken) == 5
    assert HeldEntry.objects.count() == 0
    event = ThrottleEvent.objects.get()
    assert event.ended is not None
    assert event.ended_by == ROOT.name
    over.send(3)
    over.spool.work()
    assert (len(over.spool.peer.taken), len(over.held())) == (7, 1)


def test_a_dry_run_of_a_release_releases_nothing(over: Throttled) -> None:
    records = AuditEvent.objects.count()
    assert actions.release(ROOT, SUBJECT, dry_run=True).messages == 3
    over.spool.work()
    assert len(over.held()) == 3
    assert AuditEvent.objects.count() == records


def test_who_is_not_throttled_can_not_be_released(throttled: Throttled) -> None:
    with pytest.raises(actions.NothingToRelease, match="is not throttled"):
        actions.release(ROOT, SUBJECT)


def test_a_raised_limit_lets_go_as_many_as_it_has_room_for(over: Throttled) -> None:
    actions.raise_limit(ROOT, SUBJECT, Metric.MESSAGES, 4)
    over.forget()
    over.spool.work()
    assert (len(over.spool.peer.taken), len(over.held())) == (4, 1)


def test_who_has_room_again_is_throttled_no_more_the_moment_the_limit_is_raised(over: Throttled) -> None:
    actions.raise_limit(ROOT, SUBJECT, Metric.MESSAGES, 100)
    assert not ThrottleEvent.objects.filter(ended=None).exists()
    over.spool.work()
    assert (len(over.spool.peer.taken), len(over.held())) == (5, 0)


def test_who_has_not_enough_room_is_shown_with_the_new_limit(over: Throttled, manage: Manage) -> None:
    actions.raise_limit(ROOT, SUBJECT, Metric.MESSAGES, 4)
    [listed] = manage("throttle", "list", "--json").json
    assert (listed["used"], listed["limit"]) == ("2", "4")


def test_a_limit_that_was_raised_on_a_page_of_accounts_ends_it_with_the_next_sweeps(over: Throttled) -> None:
    over.limit(messages_per_hour=100)
    over.forget()
    tasks.sweep()
    over.spool.work()
    tasks.sweep()
    assert not ThrottleEvent.objects.filter(ended=None).exists()


def test_what_is_only_recorded_from_now_on_holds_nothing_more(over: Throttled) -> None:
    actions.set_limits(ROOT, SUBJECT, messages_action="none")
    over.spool.work()
    assert len(over.spool.peer.taken) == 5


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_limit_is_raised_or_nothing_is_done(over: Throttled, number: int) -> None:
    with pytest.raises(actions.NothingToRelease, match="not more than the limit of 2"):
        actions.raise_limit(ROOT, SUBJECT, Metric.MESSAGES, number)


def test_setting_is_written_down_and_checked(throttled: Throttled) -> None:
    actions.set_limits(ROOT, DOMAIN, bounces_per_hour=7, bounces_action="reject")
    assert accounts_actions.get_domain(HERE).bounces_per_hour == 7
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.on) == (ROOT.name, "throttle set", HERE)
    assert event.outcome == "Bounces received per hour: 0 → 7; beyond them: Delay → Reject it"
    with pytest.raises(ValidationError):
        actions.set_limits(ROOT, DOMAIN, messages_action="perhaps")
    with pytest.raises(actions.NoSuchSubject, match="has no limit bounces_per_hour"):
        actions.set_limits(ROOT, SUBJECT, bounces_per_hour=7)


@pytest.mark.parametrize(
    ("actor", "subject", "allowed"),
    [
        (ROOT, SUBJECT, True),
        (ROOT, DOMAIN, True),
        (OF_HERE, SUBJECT, True),
        (OF_HERE, DOMAIN, False),
        (Actor("boss@other.test", Role.DOMAIN_ADMINISTRATOR, "other.test"), SUBJECT, False),
        (Actor(ANN, Role.USER, HERE), SUBJECT, False),
    ],
)
def test_administrators_set_limits_as_far_as_they_reach(
    throttled: Throttled, actor: Actor, subject: Subject, allowed: bool
) -> None:
    def act() -> Any:
        return actions.set_limits(actor, subject, messages_per_hour=5)

    if allowed:
        assert act().messages_per_hour == 5
    else:
        with pytest.raises(actions.NotAllowed):
            act()


def test_a_disabled_user_sends_no_more_but_receives(over: Throttled) -> None:
    actions.disable(ROOT, SUBJECT)
    assert User.objects.get(email=ANN).status == Status.RECEIVING
    with pytest.raises(actions.NoSuchSubject):
        actions.disable(ROOT, DOMAIN)


def test_an_event_ends_by_itself_when_nothing_waits_and_there_is_room(over: Throttled) -> None:
    tasks.sweep()
    assert ThrottleEvent.objects.filter(ended=None).count() == 1
    for _ in range(12):
        over.later(minutes=15)
        tasks.sweep()
        over.spool.work()
    over.later(minutes=15)
    tasks.sweep()
    event = ThrottleEvent.objects.get()
    assert event.ended is not None
    assert event.ended_by == ""
    assert Entry.objects.count() == 0


class TestCommand:
    def test_it_lists_sets_and_releases(self, over: Throttled, manage: Manage) -> None:
        [listed] = manage("throttle", "list", "--json").json
        assert (listed["name"], listed["reason"], listed["used"], listed["limit"], listed["held"]) == (
            ANN,
            "Messages Out",
            "2",
            "2",
            3,
        )
        assert manage("throttle", "release", ANN, "--dry-run", "--json").json["messages"] == 3
        assert len(over.held()) == 3
        assert manage("throttle", "release", ANN, "--json").json["messages"] == 3
        done = manage("throttle", "set", ANN, "--bandwidth-per-hour", "50", "--action", "reject", "--json")
        assert (done.json["bandwidth_mb_per_hour"], done.json["bandwidth_action"]) == (50, "reject")
        assert done.json["messages_action"] == "delay"
        assert manage("throttle", "list").status == 1
        [ended] = manage("throttle", "list", "--history", "--json").json
        assert ended["by"].endswith("(shell)")

    def test_a_dry_run_sets_nothing(self, throttled: Throttled, manage: Manage) -> None:
        shown = manage("throttle", "set", HERE, "--messages-per-hour", "9", "--dry-run", "--json")
        assert shown.json["messages_per_hour"] == 9
        assert accounts_actions.get_domain(HERE).messages_per_hour == 0

    @pytest.mark.parametrize(
        ("arguments", "status", "sentence"),
        [
            (["release", ANN], 1, "is not throttled"),
            (["release", "nobody@here.test"], 1, "There is no user, mailing list, domain or throttled IP address"),
            (["set", ANN], 2, "Say what to set"),
            (["set", ANN, "--messages-per-hour", "-1"], 1, "messages_per_hour: Ensure this value is greater"),
            (["set", ANN, "--bounces-per-hour", "5"], 1, "has no limit bounces_per_hour"),
        ],
    )
    def test_what_can_not_be_is_refused_with_a_sentence(
        self, throttled: Throttled, manage: Manage, arguments: list[str], status: int, sentence: str
    ) -> None:
        done = manage("throttle", *arguments)
        assert done.status == status
        assert sentence in done.err
