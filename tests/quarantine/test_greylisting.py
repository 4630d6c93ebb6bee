"""What greylisting remembers, for how long, and what it asks the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from quarantine import greylisting
from quarantine.greylisting import Known, Ruling, Triplet, decide, rule, standing, sweep, triplet_of
from quarantine.holding import Quarantine
from quarantine.models import AntispamSettings, GreylistClient, Greylisted
from tests.support.commands import manage_with

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SETTINGS = AntispamSettings(greylist=True)


def ago(**delta: float) -> datetime:
    return NOW - timedelta(**delta)


@pytest.mark.parametrize(
    ("known", "ruling"),
    [
        (None, Ruling(300, is_new=True)),
        (Known(NOW, NOW, False), Ruling(300)),
        (Known(ago(seconds=299.2), ago(seconds=299.2), False), Ruling(1)),
        (Known(ago(minutes=5), ago(minutes=5), False), Ruling(has_come_back=True)),
        (Known(ago(hours=48), ago(hours=48), False), Ruling(has_come_back=True)),
        (Known(ago(hours=49), ago(hours=49), False), Ruling(300, begins_anew=True)),
        (Known(ago(days=100), ago(hours=1), True), Ruling()),
        (Known(ago(days=100), ago(days=1), True), Ruling(is_seen_anew=True)),
        (Known(ago(days=100), ago(days=36), True), Ruling(300, begins_anew=True)),
    ],
)
def test_who_comes_back_in_time_is_let_in_and_stays_known_while_seen(known: Known | None, ruling: Ruling) -> None:
    assert rule(known, SETTINGS, NOW) == ruling


@pytest.mark.parametrize(
    ("ip", "sender", "expected"),
    [
        ("192.0.2.77", "Eve@Far.test", ("192.0.2.0/24", "eve@far.test")),
        ("2001:db8:1:2:3::4", "eve+tag@far.test", ("2001:db8:1:2::/64", "eve@far.test")),
        ("192.0.2.77", "bounce-1234-0af3@far.test", ("192.0.2.0/24", "bounce-#-#@far.test")),
        ("192.0.2.77", "news2026@1and1.test", ("192.0.2.0/24", "news2026@1and1.test")),
        ("fe80::1%eth0", "", ("fe80::/64", "")),
    ],
)
def test_hosts_of_a_network_and_addresses_made_for_one_message_are_one(
    ip: str, sender: str, expected: tuple[str, str]
) -> None:
    found = triplet_of(ip, sender, "Ann@here.test")
    assert (found.network, found.sender, found.recipient) == (*expected, "ann@here.test")


@given(st.ip_addresses(), st.text(max_size=400), st.text(max_size=400))
def test_every_envelope_has_a_triplet_that_the_database_takes(ip: Any, sender: str, recipient: str) -> None:
    found = triplet_of(str(ip), sender, recipient)
    assert len(found.key) == 32 and len(found.network) <= 43
    assert max(len(found.sender), len(found.recipient)) <= 320 and "\0" not in found.sender + found.recipient


def some(count: int, network: str = "192.0.2.0/24") -> list[Triplet]:
    return [Triplet(network, f"eve{n}@far.test", "ann@here.test") for n in range(count)]


@pytest.mark.django_db(transaction=True)
class TestDeciding:
    def test_a_batch_is_one_question_and_the_known_cost_no_write(self) -> None:
        batch = some(50)
        with CaptureQueriesContext(connection) as told:
            assert decide(batch, SETTINGS, ago(minutes=6)) == [300] * 50
        # The batch statements go by the driver itself: what Django sees is the transaction.
        assert told.captured_queries
        assert decide([*batch, *batch[:3]], SETTINGS, NOW) == [0] * 53
        with CaptureQueriesContext(connection) as asked:
            assert decide(batch, SETTINGS, NOW) == [0] * 50
        assert not asked.captured_queries
        assert Greylisted.objects.filter(passed=True).count() == 50

    def test_a_network_that_came_back_often_enough_waits_no_more(self) -> None:
        for number, one in enumerate(some(5)):
            assert decide([one], SETTINGS, ago(minutes=6)) == [300], number
            assert decide([one], SETTINGS, NOW) == [0]
            # What is let in again is no further proof.
            assert decide([one], SETTINGS, NOW) == [0]
            assert GreylistClient.objects.get().passes == number + 1
        stranger = Triplet("192.0.2.0/24", "new@far.test", "bob@here.test")
        assert decide([stranger], SETTINGS, NOW) == [0]
        assert decide([stranger], AntispamSettings(greylist_passes=0), NOW) == [300]
        assert decide([Triplet("192.0.3.0/24", "new@far.test", "bob@here.test")], SETTINGS, NOW) == [300]
        # Seen each day it stays proven; not seen for the days of expiry it is a stranger again.
        other = Triplet("192.0.2.0/24", "other@far.test", "bob@here.test")
        assert decide([other], SETTINGS, NOW + timedelta(days=30)) == [0]
        assert decide([other], SETTINGS, NOW + timedelta(days=64)) == [0]
        assert decide([other], SETTINGS, NOW + timedelta(days=100)) == [300]

    def test_two_listeners_that_see_the_same_come_back_count_it_once(self) -> None:
        [one] = some(1)
        decide([one], SETTINGS, ago(minutes=6))
        together = threading.Barrier(4)

        def listener() -> None:
            together.wait(10)
            try:
                assert decide([one], SETTINGS, NOW) == [0]
            finally:
                connections.close_all()

        threads = [threading.Thread(target=listener) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert GreylistClient.objects.get().passes == 1

    def test_what_was_not_seen_for_too_long_is_swept_and_the_rest_stays(self) -> None:
        now = timezone.now()
        first, second, third = some(3)
        decide([first], SETTINGS, now - timedelta(hours=50))
        for one in (second, third):
            decide([one], SETTINGS, now - timedelta(days=36))
            decide([one], SETTINGS, now - timedelta(days=36) + timedelta(hours=1))
        decide([third], SETTINGS, now - timedelta(days=1))
        assert standing(SETTINGS).waiting == 1
        Quarantine().tidy(now)
        assert list(Greylisted.objects.values_list("sender", flat=True)) == [third.sender]
        assert sweep(SETTINGS, now) == 0
        assert greylisting.forget() == 1

    def test_the_page_counts_and_the_command_shows_and_forgets(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, setting: Callable[..., None]
    ) -> None:
        setting(AntispamSettings, greylist=True, greylist_passes=1)
        decide(some(3), SETTINGS, ago(minutes=6))
        decide(some(1), SETTINGS, NOW)
        client = Client()
        root = User.objects.create_superuser("root@example.org")
        client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
        page = client.get("/admin/quarantine/antispamsettings/1/change/").content.decode()
        assert '<span class="ms-num">2</span> have not retried yet, <span class="ms-num">1</span> have passed' in page
        assert '<span class="ms-num">1</span> networks are allowed automatically' in page
        manage = manage_with(capsys, monkeypatch, "quarantine")
        assert len(manage("quarantine", "greylist", "--json").json) == 3
        assert manage("quarantine", "greylist", "--forget", "198.51.100.0/24").status == 1
        assert manage("quarantine", "greylist", "--forget-all", "--json").json == {"forgotten": 4}
        assert manage("quarantine", "greylist").status == 1


def test_a_wait_that_nobody_can_come_back_from_is_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        AntispamSettings(greylist_seconds=7200, greylist_hours=2).full_clean()
    assert "greylist_hours" in refused.value.message_dict
