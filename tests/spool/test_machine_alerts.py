"""Alerts about the machine: disks, folders, programs, Redis, the database, the certificate; and those a new one has."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from base import redis_client
from base.actions.action import Refused
from base.actions.perform import perform
from base.one_row import OneRow
from mailspool.home import Home
from spool.actions import Actor
from spool.actions.machines import FORGET, machine_named
from spool.alerts import defaults, loop, machine, outbox, watching
from spool.alerts.watches import watches
from spool.dropfolder import drop_folder
from spool.files import marks
from spool.models import AlertEvent, AlertNotice, AlertRule, Settings
from spool.models.machine import Machine, Program
from spool.models.settings import current
from spool.monitoring import heartbeat, machines
from spool.monitoring.names import machine as this_machine
from spool.smtpd.tls import expires
from tests.support.programs import a_program
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home")]


@pytest.fixture(autouse=True)
def go_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Lets seconds go by for the watches, which are as new as in a scheduler that has settled."""
    passed = 0.0

    def go_on(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(machine, "monotonic", lambda: monotonic() + passed)
    watches.cache_clear()
    watches()
    go_on(machine.SETTLING_SECONDS + 1)
    yield go_on
    watches.cache_clear()


def a_rule(kind: str, threshold: int, **more: Any) -> AlertRule:
    rule = AlertRule(name=kind, kind=kind, threshold=threshold, **more)
    rule.full_clean()
    rule.save()
    return rule


def going_on() -> list[tuple[str, str]]:
    """What `look` finds."""
    OneRow.forget()
    watching.look(timezone.now())
    return list(AlertEvent.objects.filter(ended=None).order_by("key").values_list("kind", "key"))


def test_a_full_disk_is_told_of_once_for_all_folders_on_it() -> None:
    a_rule("disk", 100)
    assert going_on() == []
    AlertRule.objects.update(threshold=1)
    assert going_on() == [("disk", f"{this_machine()} home")]
    assert 1 < AlertEvent.objects.get().value < 100


def test_a_folder_that_is_missing_is_told_of_after_a_while_and_when_it_is_back(
    home: Home, go_on: Callable[[float], None]
) -> None:
    a_rule("folder", 1, ends_below=50)
    away = home.maildirs.with_name("elsewhere")
    home.maildirs.rename(away)
    assert going_on() == []
    go_on(61)
    assert going_on() == [("folder", f"{this_machine()} maildirs")]
    away.rename(home.maildirs)
    assert going_on() == []


def test_a_folder_without_our_mark_is_missing(home: Home, go_on: Callable[[float], None]) -> None:
    marks.forget()
    assert marks.settle() == []
    a_rule("folder", 1, ends_below=50)
    mark = home.root / marks.KEYS / marks.FILE
    was = mark.read_text()
    mark.unlink()
    going_on()
    go_on(61)
    assert going_on() == [("folder", f"{this_machine()} keys")]
    mark.write_text(was)
    assert going_on() == []
    for name in marks.FOLDERS:
        (home.root / name / marks.FILE).unlink()
    marks.forget(unmarked=True)


def test_a_program_that_is_silent_is_dead_and_one_that_ends_in_order_is_not() -> None:
    a_rule("program", 2, ends_below=50)
    heart = heartbeat.Heart("workers")
    heart.beat()
    a_program("scheduler", "mx2", ago_seconds=10)
    a_program("workers", "mx2", ago_seconds=200)
    a_program("workers", "mx2", number=2, ago_seconds=190)
    assert going_on() == [("program", "mx2 workers")]
    a_program("workers", "mx2", number=3)
    assert going_on() == []
    heart.end()
    assert not Program.objects.filter(machine=this_machine()).exists()


def test_a_machine_whose_programs_are_all_silent_is_missed_until_it_is_forgotten() -> None:
    a_rule("program", 2)
    a_rule("machine", 2, ends_below=50)
    for kind, ago in (("workers", 200), ("scheduler", 190)):
        a_program(kind, "mx2", ago_seconds=ago)
    a_program("workers", "mx3", ago_seconds=1)
    assert going_on() == [("machine", "mx2")]
    target = machine_named("mx2")
    assert target is not None
    perform(FORGET, Actor.system(), target)
    assert going_on() == []
    target = machine_named("mx3")
    assert target is not None
    with pytest.raises(Refused, match="is alive"):
        perform(FORGET, Actor.system(), target)


def test_a_machine_that_drains_for_long_is_told_of_until_it_is_resumed() -> None:
    a_rule("machine-drain", 60, ends_below=50)
    a_program("workers", "mx2")
    machines.drain("mx2", "root@example.org")
    assert going_on() == []
    Machine.objects.update(drain_since=timezone.now() - timedelta(minutes=61))
    assert going_on() == [("machine-drain", "mx2")]
    machines.resume("mx2")
    assert going_on() == []


def test_nobody_is_called_dead_because_the_database_was_away(go_on: Callable[[float], None]) -> None:
    a_rule("program", 2)
    a_program("scheduler", "mx2")
    a_program("workers", "mx2", ago_seconds=500)
    going_on()
    Program.objects.filter(kind="workers").update(seen=timezone.now() - timedelta(seconds=500))
    AlertEvent.objects.all().delete()
    # Nobody could look meanwhile.
    go_on(600)
    assert going_on() == [], "programs have had no time to tell"
    for _ in range(4):
        go_on(20)
        found = going_on()
    assert found == [("program", "mx2 workers")]


def test_a_redis_that_is_away_is_told_of_while_it_is(redis: RedisServer, go_on: Callable[[float], None]) -> None:
    a_rule("redis", 2, ends_below=50, mail_to="ops@elsewhere.test")
    assert going_on() == []
    redis.stop()
    try:
        assert going_on() == []
        go_on(121)
        assert going_on() == [("redis", this_machine())]
        outbox.send_due(timezone.now())
        assert AlertNotice.objects.get().done is not None, "mail needs no Redis"
    finally:
        redis.start()
    wait_until(redis_client.is_there, "Redis is asked again")
    assert going_on() == []


def test_another_machines_disk_is_not_judged_here() -> None:
    rule = a_rule("disk", 1)
    AlertEvent.objects.create(
        rule=rule,
        rule_name="disk",
        kind="disk",
        key="mx2 home",
        threshold=1,
        value=95,
        highest=95,
        began=timezone.now(),
    )
    assert len(going_on()) == 2
    AlertRule.objects.update(threshold=100)
    going_on()
    other = AlertEvent.objects.get(key="mx2 home")
    assert (other.ended, other.value) == (None, 95)


def test_a_certificate_is_told_of_when_few_days_are_left_and_when_it_is_renewed() -> None:
    left = (expires(current()) - timezone.now()) / timedelta(days=1)
    rule = a_rule("certificate", int(left) + 1, mail_to="ops@elsewhere.test")
    assert rule.ends_at > rule.threshold
    assert going_on() == [("certificate", this_machine())]
    event = AlertEvent.objects.get()
    assert event.value == event.highest == pytest.approx(left, abs=0.1)
    rule.threshold = 14
    rule.save()
    assert going_on() == []
    [began, ended] = AlertNotice.objects.order_by("pk")
    assert outbox.sentence(ended).endswith(f"It was at least {left:,.0f} days left.")
    assert began.says == "began"


def test_a_certificate_that_can_t_be_read_changes_nothing(tmp_path: Path) -> None:
    a_rule("certificate", 5000)
    assert len(going_on()) == 1
    row = Settings.load()
    row.tls_certificate = str(tmp_path / "nowhere.pem")
    row.save()
    assert len(going_on()) == 1


def test_a_database_that_was_away_is_told_of_afterwards() -> None:
    a_rule("database", 2, mail_to="ops@elsewhere.test")
    began = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    watching.look_back("database", began, began + timedelta(minutes=1))
    assert not AlertEvent.objects.exists()
    watching.look_back("database", began, began + timedelta(minutes=61))
    event = AlertEvent.objects.get()
    assert (event.began, event.ended, event.highest) == (began, began + timedelta(minutes=61), 61)
    assert outbox.sentence(AlertNotice.objects.get()) == f"Over: database {this_machine()}. It was at most 61 minutes."


@pytest.mark.sqlite
def test_the_thread_outlives_a_database_that_is_away_and_remembers_since_when(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    AlertRule.objects.create(name="database", kind="database", threshold=0)
    monkeypatch.setattr(loop, "LOOK_SECONDS", 0.05)
    stop = threading.Event()
    path = Path(str(connection.settings_dict["NAME"]))
    thread = threading.Thread(target=loop.run, args=(stop,))
    connection.close()
    # What is at its path is no database.
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    try:
        thread.start()
        wait_until(lambda: "the database is away" in caplog.text, "it is logged")
    finally:
        path.rmdir()
        path.with_suffix(".away").rename(path)
    wait_until(AlertEvent.objects.exists, "it is told of")
    stop.set()
    thread.join(10)
    assert AlertEvent.objects.get().ended is not None


def test_a_new_installation_watches_its_machine() -> None:
    defaults.make("admin@example.org")
    defaults.make("")
    rules = AlertRule.objects.all()
    for rule in rules:
        rule.full_clean()
    assert {rule.kind for rule in rules if rule.mail_to} == {
        *(
            "disk",
            "program",
            "machine",
            "machine-drain",
            "redis",
            "bucket",
            "database",
            "certificate",
            "folder",
            "drop",
        ),
        *("flood-user", "flood-sender", "flood-ip", "deferred-user", "deferred-sender", "growth", "untaken", "dns"),
        *("engine", "engine-failing", "quarantine", "suspended", "source-missing"),
        "tls-reported",
    }
    assert {rule.mail_to for rule in rules if rule.mail_to} == {"admin@example.org"}
    # Their users, or the console, know already.
    assert {rule.kind for rule in rules if not rule.mail_to} == {
        *("throttled-user", "throttled-domain", "guard", "guard-dry-run", "destination")
    }
    assert {rule.kind for rule in rules} <= set(watches())
    assert not [key for kind, key in going_on() if kind != "disk"]


def test_files_of_the_drop_folder_that_were_set_aside_are_told_until_they_are_gone(home: Home) -> None:
    a_rule("drop", 1)
    assert going_on() == []
    (home.drop / "bad.eml").write_bytes(b"To: nobody at all\n\nx\n")
    os.utime(home.drop / "bad.eml", (1, 1))
    drop_folder.take()
    assert going_on() == [("drop", f"{this_machine()} drop")]
    for path in (home.drop / "rejected").iterdir():
        path.unlink()
    assert going_on() == []
