"""/healthz, /readyz and /metrics."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from mailspool import health, metrics, redis_counts
from spool.models.entry import Direction, Entry, Priority, Status
from spool.models.machine import Program
from spool.models.settings import Settings
from spool.monitoring import machines
from spool.monitoring.heartbeat import Heart
from spool.monitoring.names import machine
from spool.monitoring.programs import NEEDED
from tests.support.programs import a_program, all_programs
from tests.support.redis import RedisServer

# The checks have threads and connections of their own: rows must be committed to be seen.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    cache.clear()
    metrics.forget()
    health.forget()
    redis_counts.redis_client.cache_clear()
    yield
    redis_counts.redis_client.cache_clear()


@pytest.fixture
def all_running(redis: RedisServer) -> RedisServer:
    """Every kind of program gives signs of life."""
    all_programs()
    return redis


def readiness(client: Client) -> tuple[int, dict[str, Any]]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json()["checks"]


def an_entry(name: str, status: Status = Status.WAITING, **fields: Any) -> Entry:
    return Entry.objects.create(
        file_name=name,
        subspool="subspool0001",
        direction=Direction.OUTBOUND,
        size_bytes=1,
        recipients_total=1,
        status=status,
        created=timezone.now(),
        **fields,
    )


def test_alive_asks_nothing(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/healthz", headers={"host": "10.1.2.3"})

    assert (answer.status_code, answer.content.splitlines()[0]) == (200, b"ok")


@pytest.mark.usefixtures("home", "all_running")
def test_ready_when_everything_runs(client: Client) -> None:
    status, checks = readiness(client)

    assert status == 200
    assert set(checks) == {"database", "schema", "folders", "disk", "mail", "machine", "redis", *NEEDED}
    assert all(check["ok"] for check in checks.values())


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("kind", NEEDED)
def test_not_ready_when_a_kind_of_program_is_missing(client: Client, all_running: RedisServer, kind: str) -> None:
    a_program(kind, ago_seconds=40)

    status, checks = readiness(client)

    assert status == 503
    assert [name for name, check in checks.items() if not check["ok"]] == [kind]
    assert checks[kind]["detail"] == "0 running"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("kind", NEEDED)
def test_another_machines_programs_are_not_this_ones(client: Client, all_running: RedisServer, kind: str) -> None:
    a_program(kind, ago_seconds=40)
    a_program(kind, f"another-{machine()}")

    assert readiness(client)[1][kind] == {"ok": False, "of": "machine", "detail": "0 running"}


@pytest.mark.usefixtures("home", "all_running")
def test_a_machine_that_drains_is_not_ready_and_others_are(client: Client) -> None:
    all_programs("mx2")
    machines.drain("mx2", "root@example.org")
    assert readiness(client)[0] == 200
    machines.drain(machine(), "root@example.org")
    health.forget()
    status, checks = readiness(client)
    assert status == 503
    assert [name for name, check in checks.items() if not check["ok"]] == ["machine"]
    assert checks["machine"]["detail"].endswith("as root@example.org asked for")
    assert {name for name, check in checks.items() if check["of"] == "shared"} == {"database", "redis", "mail"}
    machines.resume(machine())
    health.forget()
    assert readiness(client)[0] == 200


@pytest.mark.usefixtures("home")
def test_containers_that_are_one_machine_are_ready_together(
    client: Client, all_running: RedisServer, settings: LazySettings
) -> None:
    settings.MAILSPOOL_MACHINE = "mx1"
    assert readiness(client)[0] == 503
    for kind in NEEDED:
        Heart(kind).beat()
    health.forget()
    assert readiness(client)[0] == 200
    assert Program.objects.filter(machine="mx1", host=socket.gethostname()).count() == len(NEEDED)


@pytest.mark.usefixtures("home", "all_running")
@pytest.mark.parametrize("is_away", [False, True])
def test_a_stranger_hears_yes_or_no(client: Client, settings: LazySettings, is_away: bool) -> None:
    if is_away:
        settings.RQ_CONNECTION = {"URL": "unix:///nowhere/redis.sock"}
    settings.MAILSPOOL_METRICS_TOKEN = "s3cret"

    for headers, has_details in (({}, False), ({"authorization": "Bearer s3cret"}, True)):
        answer = client.get("/readyz", REMOTE_ADDR="192.0.2.1", headers=headers)
        assert answer.status_code == (503 if is_away else 200)
        assert answer.json()["ready"] is not is_away
        assert (set(answer.json()) == {"ready"}) is not has_details
        assert ("nowhere" in answer.content.decode()) is (is_away and has_details)


@pytest.mark.usefixtures("home", "all_running")
@pytest.mark.parametrize(("role", "has_details"), [("admin", True), ("domain_admin", False), ("user", False)])
def test_the_reasons_are_for_system_administrators(client: Client, role: str, has_details: bool) -> None:
    client.force_login(User.objects.create_user("ann@example.org", "correct-horse-battery", role=role))

    answer = client.get("/readyz", REMOTE_ADDR="192.0.2.1")

    assert answer.status_code == 200
    assert ("checks" in answer.json()) is has_details


@pytest.mark.usefixtures("home", "all_running")
def test_not_ready_when_the_disk_is_too_full_for_new_mail(client: Client) -> None:
    row = Settings.load()
    row.min_free_mb = 10_000_000
    row.save()

    status, checks = readiness(client)

    assert status == 503
    assert "10000000 MB needed" in checks["disk"]["detail"]


@pytest.mark.usefixtures("home")
def test_a_redis_that_is_gone_is_told_at_once(client: Client, settings: LazySettings) -> None:
    settings.RQ_CONNECTION = {"URL": "unix:///nowhere/redis.sock"}

    status, checks = readiness(client)

    assert status == 503
    assert not checks["redis"]["ok"]
    assert checks["database"]["ok"]
    assert checks["workers"]["detail"] == "0 running"


@pytest.mark.usefixtures("home")
def test_a_redis_that_hangs_is_told_in_time(client: Client, settings: LazySettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.RQ_CONNECTION = {"URL": f"redis://127.0.0.1:{silent.getsockname()[1]}"}
        status, checks = [], []
        asking = threading.Thread(target=lambda: (status.append(readiness(client)[0]), checks.append(1)))
        asking.start()
        asking.join(health.CHECK_SECONDS + 3)

        assert status == [503]


@pytest.mark.usefixtures("home", "all_running")
def test_readiness_does_not_depend_on_the_host_that_a_probe_names(client: Client, settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = ["mail.example.org"]

    assert client.get("/readyz", headers={"host": "10.1.2.3:8000"}).status_code == 200


@pytest.mark.usefixtures("home", "all_running")
@pytest.mark.parametrize(
    ("direction", "priority", "seconds", "ready"),
    [
        (Direction.INBOUND, Priority.NORMAL, 55, True),
        (Direction.INBOUND, Priority.NORMAL, 70, False),
        (Direction.INBOUND, Priority.LOW, 70, False),
        (Direction.OUTBOUND, Priority.NORMAL, 70, True),
        (Direction.OUTBOUND, Priority.NORMAL, 610, False),
        (Direction.OUTBOUND, Priority.LOW, 610, True),
    ],
)
def test_not_ready_when_nobody_takes_due_mail(
    client: Client, direction: Direction, priority: Priority, seconds: int, ready: bool
) -> None:
    due = timezone.now() - timedelta(seconds=seconds)
    entry = an_entry("a.eml", due_at=due)
    Entry.objects.filter(pk=entry.pk).update(direction=direction, priority=priority)
    # Neither what is in work nor what is on hold is due.
    an_entry("b.eml", due_at=timezone.now() + timedelta(seconds=20), leased_by="worker")
    an_entry("c.eml", hold=True)

    status, checks = readiness(client)

    assert checks["mail"]["ok"] is ready
    assert status == (200 if ready else 503)
    if not ready:
        room = "local" if direction is Direction.INBOUND else "remote"
        assert checks["mail"]["detail"].startswith(f"{room} mail has been due for ")


@pytest.mark.usefixtures("home", "all_running")
def test_metrics_say_how_long_due_mail_waits_in_which_room(client: Client) -> None:
    now = timezone.now()
    for name, seconds in (("a", 100), ("b", 40)):
        an_entry(f"{name}.eml", due_at=now - timedelta(seconds=seconds))
    low = an_entry("d.eml", due_at=now - timedelta(seconds=500))
    Entry.objects.filter(pk=low.pk).update(priority=Priority.LOW)

    lines = client.get("/metrics").content.decode().splitlines()

    found = {
        line.split('"')[1]: float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("mailspool_oldest_due_seconds{")
    }
    assert found == {
        "local": 0.0,
        "remote": pytest.approx(100, abs=5),
        "low": pytest.approx(500, abs=5),
    }


@pytest.mark.usefixtures("home", "all_running")
def test_metrics_count_the_spool(client: Client) -> None:
    an_entry("a.eml", due_at=timezone.now())
    an_entry("b.eml", hold=True)
    an_entry("c.eml", Status.REMOTE_DELIVERY, due_at=timezone.now(), leased_by="worker")

    lines = client.get("/metrics").content.decode().splitlines()

    assert 'mailspool_entries{status="waiting"} 2.0' in lines
    assert 'mailspool_entries{status="remote"} 1.0' in lines
    assert 'mailspool_entries{status="spam"} 0.0' in lines
    assert "mailspool_entries_due 1.0" in lines
    assert "mailspool_entries_held 1.0" in lines
    assert "mailspool_entries_leased 1.0" in lines
    assert 'mailspool_up{part="database"} 1.0' in lines


@pytest.mark.usefixtures("home", "all_running")
def test_metrics_ask_the_database_once_in_a_while(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.get("/metrics")
    with django_assert_num_queries(0):
        client.get("/metrics")


@pytest.mark.usefixtures("home")
def test_metrics_say_that_redis_is_gone_and_show_the_rest(client: Client, settings: LazySettings) -> None:
    settings.RQ_CONNECTION = {"URL": "unix:///nowhere/redis.sock"}

    lines = client.get("/metrics").content.decode().splitlines()

    assert 'mailspool_up{part="redis"} 0.0' in lines
    assert 'mailspool_entries{status="waiting"} 0.0' in lines


@pytest.mark.usefixtures("home", "all_running")
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, 200),
        ({"REMOTE_ADDR": "::1"}, 200),
        ({"REMOTE_ADDR": "192.0.2.1"}, 403),
        ({"REMOTE_ADDR": ""}, 403),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}, 403),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=192.0.2.1"}, 403),
    ],
)
def test_metrics_are_for_this_machine(client: Client, origin: dict[str, str], status: int) -> None:
    assert client.get("/metrics", **origin).status_code == status  # type: ignore[arg-type]


@pytest.mark.usefixtures("home", "all_running")
@pytest.mark.parametrize(
    ("token", "given", "status"),
    [("s3cret", "Bearer s3cret", 200), ("s3cret", "Bearer guess", 403), ("", "Bearer ", 403), ("s3cret", "", 403)],
)
def test_metrics_are_for_holders_of_the_token(
    client: Client, settings: LazySettings, token: str, given: str, status: int
) -> None:
    settings.MAILSPOOL_METRICS_TOKEN = token

    answer = client.get("/metrics", REMOTE_ADDR="192.0.2.1", headers={"authorization": given})

    assert answer.status_code == status


@pytest.mark.usefixtures("home", "all_running")
@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("domain_admin", 403), ("user", 403)])
def test_metrics_are_for_system_administrators(client: Client, role: str, status: int) -> None:
    client.force_login(User.objects.create_user("ann@example.org", "correct-horse-battery", role=role))

    assert client.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == status
