"""What `/metrics` says is what Prometheus asks for, and the dashboard asks for nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

import pytest
from django.conf import LazySettings, settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from base import redis_client
from mailspool import metrics, redis_counts
from mailspool.redis_counts import counts
from spool.message.envelope import AttemptRecord, LeasedEntry, LeasedRecipient, RecipientResult, Recorded
from spool.models.machine import Program
from spool.models.recipient import Kind, Outcome
from spool.monitoring import heartbeat, tally
from spool.rows import statements, traffic_batches
from spool.traffic import rollup
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
_NAME = re.compile(r"mailspool(_[a-z]+)+")
_UNITS = ("seconds", "bytes", "ratio")
# Words that say that a name has another unit, or a type in it.
_WRONG = {"ms", "milliseconds", "minutes", "kb", "mb", "megabytes", "percent", "gauge", "counter", "count", "bucket"}


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    cache.clear()
    metrics.forget()
    tally.take()
    redis_counts.redis_client.cache_clear()
    yield
    redis_counts.redis_client.cache_clear()


def families(client: Client) -> dict[str, Metric]:
    metrics.forget()
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {family.name: family for family in text_string_to_metric_families(answer.content.decode())}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def faults(found: Iterable[Metric]) -> list[str]:
    """What `promtool check metrics` would say, and that no label is a process."""
    said = []
    for family in found:
        name, words = family.name, set(family.name.split("_"))
        if not _NAME.fullmatch(name):
            said.append(f"{name} is no name")
        if not family.documentation.strip().endswith("."):
            said.append(f"{name} has no sentence")
        if words & _WRONG:
            said.append(f"{name} names {words & _WRONG}")
        if any(unit in words and not name.endswith(f"_{unit}") for unit in _UNITS) and family.type != "info":
            said.append(f"{name} has its unit elsewhere than at the end")
        exposed = {sample.name for sample in family.samples}
        if family.type == "counter" and exposed - {f"{name}_total"}:
            said.append(f"{name} is a counter without _total")
        if family.type != "counter" and any(each.endswith("_total") for each in exposed | {name}):
            said.append(f"{name} is a {family.type} with _total")
        if family.type == "unknown":
            said.append(f"{name} has no type")
        labels = {label for sample in family.samples for label in sample.labels}
        if (
            family.type != "histogram"
            and "le" in labels
            or "quantile" in labels
            or labels & {"pid", "listener", "host"}
        ):
            said.append(f"{name} has labels that it must not have: {labels}")
        keys = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        if len(keys) != len(set(keys)):
            said.append(f"{name} has a sample twice")
    return said


def a_result(domain: str, outcome: Outcome, status: str = "") -> RecipientResult:
    kind = Kind.LOCAL if domain == "here.test" else Kind.REMOTE
    recipient = LeasedRecipient(1, f"ann@{domain}", domain, kind, "", "", "")
    return RecipientResult(recipient, outcome, "250 fine", status)


def some_attempts(*results: RecipientResult, took: float = 0.2, tls: str = "") -> None:
    """Have them counted as of one entry that is two seconds old."""
    now = timezone.now()
    entry = LeasedEntry.__new__(LeasedEntry)
    entry.created, entry.release_at = now - timedelta(seconds=2), None
    attempt = AttemptRecord(now, ("ann@x.test",), "mx", "192.0.2.1", tls, 250, "fine", took)
    final = [result for result in results if result.outcome is not Outcome.PENDING]
    waiting = [result for result in results if result.outcome is Outcome.PENDING]
    tally.results([Recorded(entry, [attempt], final, waiting, None, [])], now)


@pytest.fixture
def everything(home: object, redis: RedisServer) -> RedisServer:
    """An installation in which there is something of each kind to count."""
    now = timezone.now()
    ended: traffic_batches.Ending = ("delivered", "remote", "a@b.test", "192.0.2.7", "x@y.test", now.isoformat())
    with statements.write_transaction():
        traffic_batches.receipts([("a@b.test", "192.0.2.7", True)], now)
        traffic_batches.endings([ended] * 3, now)
    rollup.roll_up()
    some_attempts(a_result("x.test", Outcome.DELIVERED), a_result("y.test", Outcome.PENDING, "4.4.1"))
    tally.add("connections")
    tally.refusal("550 5.7.1 Not from here")
    tally.login("smtp", "failed")
    heartbeat.Heart("listeners", lambda: {"open_connections": 3}).beat()
    return redis


def test_names_types_units_and_labels_are_as_prometheus_wants_them(client: Client, everything: RedisServer) -> None:
    assert faults(families(client).values()) == []


def test_the_lint_finds_what_it_is_for() -> None:
    text = (
        "# HELP mailspool_a_total Things.\n# TYPE mailspool_a_total gauge\nmailspool_a_total 1\n"
        '# HELP mailspool_b_ms Time.\n# TYPE mailspool_b_ms gauge\nmailspool_b_ms{pid="7"} 1\n'
    )
    assert len(faults(text_string_to_metric_families(text))) == 3


def test_the_dashboard_asks_for_what_there_is_and_shows_all_of_it(client: Client, everything: RedisServer) -> None:
    exposed = {sample.name for family in families(client).values() for sample in family.samples}
    dashboard = json.loads((settings.BASE_DIR / "deploy" / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in re.findall(r"mailspool_\w+", query)}
    assert asked <= exposed
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed} - shown == {"mailspool_build_info"}
    assert all(query.count("(") == query.count(")") for query in queries)


def test_what_programs_have_counted_is_added_up_and_outlives_them(client: Client, everything: RedisServer) -> None:
    found = families(client)
    assert values(found["mailspool_connections"]) == {(): 1}
    assert values(found["mailspool_open_connections"]) == {(): 3}
    assert values(found["mailspool_refusals"]) == {("550", "policy"): 1}
    assert values(found["mailspool_logins"]) == {("smtp", "failed"): 1}
    assert values(found["mailspool_attempts"]) == {("remote", "delivered"): 1, ("remote", "deferred"): 1}
    assert values(found["mailspool_deferrals"]) == {("network",): 1}

    tally.add("connections", number=4)
    heartbeat.Heart("workers").end()
    Program.objects.all().delete()
    found = families(client)
    assert values(found["mailspool_connections"]) == {(): 5}
    assert values(found["mailspool_open_connections"]) == {(): 0}


def test_histograms_have_their_buckets_sum_and_count(client: Client, everything: RedisServer) -> None:
    some_attempts(a_result("x.test", Outcome.DELIVERED), took=1000)
    heartbeat.Heart("workers").beat()
    samples = {
        (sample.name.rpartition("_")[2], sample.labels.get("le", "")): sample.value
        for sample in families(client)["mailspool_attempt_duration_seconds"].samples
    }
    assert samples["bucket", "0.1"] == 0
    assert samples["bucket", "0.25"] == 1
    assert samples["bucket", "300.0"] == 1
    assert samples["bucket", "+Inf"] == samples["count", ""] == 2
    assert samples["sum", ""] == pytest.approx(1000.2)
    latency = families(client)["mailspool_delivery_latency_seconds"].samples
    assert {sample.value for sample in latency if sample.labels.get("le") in ("1.0", "2.0")} == {0, 2}


def test_destinations_are_few_whatever_senders_write(client: Client, everything: RedisServer) -> None:
    for round_ in range(3):
        for number in range(60):
            some_attempts(a_result(f"d{round_}-{number}.test", Outcome.DELIVERED))
        for _ in range(5):
            some_attempts(a_result("often.test", Outcome.DELIVERED))
        heartbeat.Heart("workers").beat()
    family = families(client)["mailspool_destination_attempts"]
    told = {
        sample.labels["destination"]: sample.value
        for sample in family.samples
        if sample.labels["outcome"] == "delivered"
    }
    assert told["often.test"] == 15
    assert len(told) <= 31
    assert sum(told.values()) == 1 + 3 * 65


def test_rare_destinations_are_folded_in_the_end(everything: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_MOST_DESTINATIONS", 3)
    for number in range(10):
        some_attempts(*[a_result(f"d{number}.test", Outcome.DELIVERED)] * (number + 1))
    heartbeat.Heart("workers").beat()
    with everything.client() as redis:
        before = sum(number for name, number in counts(redis).items() if name.startswith("destinations|delivered|"))
        heartbeat.fold_destinations(redis)
        found = {name: number for name, number in counts(redis).items() if name.startswith("destinations|delivered|")}
    assert sum(found.values()) == before
    assert len(found) <= 4


@pytest.mark.usefixtures("home")
def test_counts_wait_for_a_redis_that_is_away(redis: RedisServer) -> None:
    redis.stop()
    tally.add("connections", number=2)
    heart = heartbeat.Heart("workers")
    try:
        assert heart.beat() == heartbeat.AGAIN_SECONDS
    finally:
        redis.start()
    wait_until(redis_client.is_there, "Redis is asked again")
    heart.beat()
    with redis.client() as client:
        assert counts(client)["connections"] == 2


@pytest.mark.usefixtures("home")
def test_the_page_answers_without_redis(client: Client, settings: LazySettings) -> None:
    settings.RQ_CONNECTION = {"URL": "unix:///nowhere/redis.sock"}
    found = families(client)
    assert values(found["mailspool_up"]) == {("database",): 1, ("redis",): 0}
    assert faults(found.values()) == []


def test_transactions_are_counted_by_what_proved_the_host(client: Client, everything: RedisServer) -> None:
    delivered = a_result("x.test", Outcome.DELIVERED)
    for tls in ("TLSv1.3 X (verified by DANE)", "TLSv1.3 X (verified by DANE)", "TLSv1.2 Y (unverified)"):
        some_attempts(delivered, tls=tls)
    some_attempts(a_result("here.test", Outcome.DELIVERED))
    heartbeat.Heart("listeners", dict).beat()
    # Besides the one in clear text that is there already; what is local has no connection.
    counted = values(families(client)["mailspool_encryption"])
    assert counted == {("dane",): 2, ("unverified",): 1, ("none",): 1}
