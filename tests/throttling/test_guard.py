"""The anomaly guard: who is caught and why, what is done, and that it can be taken back."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from accounts import actions as accounts_actions
from accounts.addresses import other_key
from accounts.models import Login, Role, Status, User
from spool.actions import Actor, NotAllowed
from spool.files.store import path_of
from spool.models import Entry, ReceivedBounce, Trace
from tests.console.conftest import administrator
from tests.support.messages import a_submission
from tests.support.spool_states import take_in
from throttling import first_policy, guard
from throttling.countries import _name, country_of, unreadable
from throttling.guard import Behaviour, evidence
from throttling.models import GuardEvent, GuardPeak, GuardPolicy

__all__ = ["administrator"]
ANN, DOMAIN = "ann@example.org", "example.org"
ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)
USUAL = {
    "messages": 60,
    "busiest_hour": 60,
    "new_recipients": 0,
    "bounces": 0,
    "new_networks": (),
    "new_countries": (),
}


def a_behaviour(**fields: Any) -> Behaviour:
    return Behaviour(**{**USUAL, **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, None),
        ({"messages": 600, "busiest_hour": 60}, None),
        ({"messages": 601, "busiest_hour": 60}, "601 messages in the last hour; the busiest hour"),
        ({"messages": 49, "busiest_hour": 0, "new_recipients": 500}, None),
        ({"new_recipients": 99}, None),
        ({"new_recipients": 100}, "100 recipients never written to"),
        ({"bounces": 20}, "20 bounces"),
        ({"new_networks": ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")}, "3 networks not seen"),
        ({"new_countries": ("Brazil",)}, None),
        ({"new_countries": ("Brazil", "Japan")}, "from 2 countries not seen in the 30 days before: Brazil, Japan."),
    ],
)
def test_what_speaks_against_somebody(fields: dict[str, Any], words: str | None) -> None:
    found = evidence(GuardPolicy(), a_behaviour(**fields))
    assert [words in str(one) for one in found] == ([True] if words else [])


@given(st.integers(0, 49), st.integers(0, 10**6), st.integers(0, 10**6))
def test_who_sends_little_is_left_alone_whatever_else(messages: int, recipients: int, bounces: int) -> None:
    behaviour = a_behaviour(messages=messages, busiest_hour=0, new_recipients=recipients, bounces=bounces)
    assert evidence(GuardPolicy(), behaviour) == []


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis", "home")]


@pytest.fixture
def policy() -> GuardPolicy:
    domain = accounts_actions.add_domain(DOMAIN)
    user = User(email=ANN, domain=domain)
    user.set_unusable_password()
    user.save()
    return GuardPolicy.objects.create(domain=domain, dry_run=False)


def sent(
    count: int, ago: timedelta, recipient: str = "bob@example.net", ip: str = "192.0.2.7", sender: str = ANN
) -> None:
    ended = timezone.now() - ago
    Trace.objects.bulk_create(
        Trace(
            file_name=f"{ago.total_seconds():.0f}-{n}-{recipient}.eml",
            auth_user=ANN,
            sender=sender,
            recipient=recipient,
            sender_key=other_key(sender),
            recipient_key=other_key(recipient),
            kind="remote",
            outcome="delivered",
            size_bytes=1,
            attempts=1,
            created=ended,
            ended=ended,
            client_ip=ip,
        )
        for n in range(count)
    )


def test_a_user_far_above_the_own_past_is_delayed_at_it_and_gets_it_back(policy: GuardPolicy) -> None:
    sent(12, timedelta(days=3))
    sent(200, timedelta(minutes=5))
    [event] = guard.look(timezone.now())
    assert event.said == ["Sent 200 messages in the last hour; the busiest hour of the 30 days before had 12."]
    user = User.objects.get(email=ANN)
    assert (user.messages_per_hour, user.messages_action) == (12, "delay")
    assert guard.look(timezone.now()) == [], "once an hour at most"
    assert "has back what the guard had taken" in guard.undo(ROOT, event)
    user.refresh_from_db()
    assert user.messages_per_hour == 0
    event.refresh_from_db()
    assert event.undone_by == ROOT.name
    assert "undone already" in guard.undo(ROOT, event)


def test_a_user_whom_the_guard_can_not_look_at_hides_no_other(
    policy: GuardPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at = guard.behaviour_of

    def fragile(address: str, now: datetime) -> Behaviour:
        if address == ANN:
            raise LookupError("nobody thought of this")
        return look_at(address, now)

    monkeypatch.setattr(guard, "_busy", lambda policy, now: [ANN, "bob@example.org"])
    monkeypatch.setattr(guard, "behaviour_of", fragile)
    assert guard.look(timezone.now()) == []
    assert set(GuardPeak.objects.values_list("user", flat=True)) == {"bob@example.org"}


def test_what_a_user_sends_under_other_names_counts(policy: GuardPolicy) -> None:
    sent(12, timedelta(days=3), sender="boss@elsewhere.test")
    sent(200, timedelta(minutes=5), sender="boss@elsewhere.test")
    [event] = guard.look(timezone.now())
    assert event.said == ["Sent 200 messages in the last hour; the busiest hour of the 30 days before had 12."]


def test_who_does_as_always_is_left_alone(policy: GuardPolicy) -> None:
    sent(180, timedelta(days=3))
    sent(200, timedelta(minutes=5))
    assert guard.look(timezone.now()) == []


def test_a_dry_run_writes_down_and_does_nothing(policy: GuardPolicy) -> None:
    GuardPolicy.objects.update(dry_run=True, action="disable")
    sent(200, timedelta(minutes=5))
    [event] = guard.look(timezone.now())
    assert event.dry_run
    user = User.objects.get(email=ANN)
    assert (user.status, user.messages_per_hour) == (Status.ENABLED, 0)


@pytest.mark.parametrize("change", [{"enabled": False}, {"least_messages": 1000}])
def test_a_policy_that_is_off_or_far_away_catches_nobody(policy: GuardPolicy, change: dict[str, Any]) -> None:
    GuardPolicy.objects.update(**change)
    sent(200, timedelta(minutes=5))
    assert guard.look(timezone.now()) == []


def test_a_policy_without_a_domain_is_for_all_that_have_none_of_their_own(policy: GuardPolicy) -> None:
    sent(11, ago=timedelta(minutes=5))
    GuardPolicy.objects.update(enabled=False, least_messages=10, factor=2, new_user_messages=10)
    for_all = GuardPolicy.objects.create(domain=None, least_messages=10, factor=2, new_user_messages=10)
    # Switched off, its own policy keeps the domain out.
    assert guard.look(timezone.now()) == []
    policy.delete()
    [event] = guard.look(timezone.now())
    assert (event.user, event.domain, event.dry_run) == (ANN, DOMAIN, True)
    assert str(for_all) == "Guard of all domains"
    with pytest.raises(ValidationError, match="already is a policy for all domains"):
        GuardPolicy(domain=None).full_clean()


def test_a_new_installation_guards_everybody_and_only_writes_down() -> None:
    first_policy.make()
    first_policy.make()
    policy = GuardPolicy.objects.get()
    assert (policy.domain, policy.enabled, policy.dry_run) == (None, True, True)


def test_new_recipients_networks_and_bounces_are_compared_with_the_past(policy: GuardPolicy) -> None:
    GuardPolicy.objects.update(new_recipients=2, bounces=3, new_networks=1, factor=1000)
    sent(60, timedelta(days=2))
    sent(60, timedelta(minutes=5))
    assert guard.look(timezone.now()) == []
    sent(1, timedelta(minutes=4), "new1@example.net", "198.51.100.9")
    sent(1, timedelta(minutes=3), "new2@example.net", "198.51.100.77")
    for _ in range(3):
        ReceivedBounce.objects.create(user=ANN, domain=DOMAIN, received=timezone.now())
    [event] = guard.look(timezone.now())
    assert event.said == [
        "Wrote to 2 recipients never written to in the 30 days before.",
        "Got 3 bounces in the last hour.",
        "Sent or logged in from 1 network not seen in the 30 days before: 198.51.100.0/24.",
    ]


def test_how_addresses_are_written_makes_nobody_new(policy: GuardPolicy) -> None:
    GuardPolicy.objects.update(new_recipients=1, factor=1000)
    sent(60, timedelta(days=2))
    sent(30, timedelta(minutes=5), "BOB@example.net", sender="Ann@Example.org")
    sent(30, timedelta(minutes=6), "Bob@Example.NET", sender="ANN@example.org")

    behaviour = guard.behaviour_of(ANN, timezone.now())

    assert (behaviour.messages, behaviour.new_recipients) == (60, 0)
    assert guard.look(timezone.now()) == []


@pytest.fixture
def countries(settings: Any, tmp_path: Path) -> Path:
    """A database in MaxMind's format, as an administrator supplies it."""
    path = tmp_path / "country.mmdb"
    write_countries(path, {"192.0.2.0/24": "Netherlands", "198.51.100.0/24": "Brazil", "2001:db8::/32": "Japan"})
    settings.MAILSPOOL_GEOIP_DATABASE = str(path)
    return path


def write_countries(path: Path, of_networks: dict[str, str]) -> None:
    writer = MMDBWriter(ip_version=6, database_type="Test-Country", ipv4_compatible=True)
    for network, name in of_networks.items():
        writer.insert_network(IPSet([network]), {"country": {"iso_code": name[:2].upper(), "names": {"en": name}}})
    writer.to_db_file(str(path))


def logged_in(ip: str, ago: timedelta) -> None:
    at = timezone.now() - ago
    Login.objects.create(user=User.objects.get(email=ANN), protocol="imap", ip=ip, day=at.date(), first=at, last=at)


def test_logins_and_mail_from_new_countries_are_evidence(policy: GuardPolicy, countries: Path) -> None:
    GuardPolicy.objects.update(new_networks=0, factor=1000)
    sent(60, timedelta(days=2))
    logged_in("192.0.2.200", timedelta(days=5))
    sent(60, timedelta(minutes=5), ip="192.0.2.99")
    logged_in("198.51.100.9", timedelta(minutes=20))
    assert guard.look(timezone.now()) == [], "one new country is a journey"
    logged_in("2001:db8::7", timedelta(minutes=3))
    [event] = guard.look(timezone.now())
    assert event.said == ["Sent or logged in from 2 countries not seen in the 30 days before: Brazil, Japan."]


def test_networks_are_shown_with_their_country_where_it_is_known(policy: GuardPolicy, countries: Path) -> None:
    GuardPolicy.objects.update(new_networks=2, factor=1000)
    sent(60, timedelta(days=2))
    sent(60, timedelta(minutes=5), ip="198.51.100.9")
    logged_in("203.0.113.1", timedelta(minutes=3))
    [event] = guard.look(timezone.now())
    assert event.said == [
        "Sent or logged in from 2 networks not seen in the 30 days before: 198.51.100.0/24 (Brazil), 203.0.113.0/24."
    ]


def test_one_new_network_in_one_new_country_is_evidence(policy: GuardPolicy, countries: Path) -> None:
    GuardPolicy.objects.update(factor=1000)
    sent(60, timedelta(days=2))
    sent(60, timedelta(minutes=5), ip="198.51.100.9")
    [event] = guard.look(timezone.now())
    assert event.said == ["Sent or logged in from 1 network not seen in the 30 days before: 198.51.100.0/24 (Brazil)."]


def test_a_mailing_of_a_month_ago_that_the_trace_has_forgotten_is_remembered(policy: GuardPolicy) -> None:
    start = timezone.now()
    sent(60, timedelta(days=2))
    sent(700, timedelta(minutes=5))
    [event] = guard.look(start)
    guard.undo(ROOT, event)
    Trace.objects.filter(ended__gt=start - timedelta(hours=1)).delete()
    later = start + timedelta(days=31)
    with time_machine.travel(later):
        sent(3, timedelta(days=2))
        sent(800, timedelta(minutes=5))
        assert guard.look(timezone.now()) == []
        behaviour = guard.behaviour_of(ANN, timezone.now())
        assert (behaviour.busiest_hour, behaviour.remembered_hour) == (3, 700)


@pytest.mark.parametrize("recipients", [150, 200])
def test_new_recipients_of_a_usual_mailing_are_not_evidence(recipients: int) -> None:
    behaviour = a_behaviour(new_recipients=recipients, remembered_recipients=100, remembered_hour=60)
    assert evidence(GuardPolicy(), behaviour) == []


def test_an_hour_that_nothing_speaks_against_is_remembered_and_one_that_was_caught_is_not(policy: GuardPolicy) -> None:
    sent(60, timedelta(days=2))
    sent(100, timedelta(minutes=5))
    assert guard.look(timezone.now()) == []
    assert GuardPeak.objects.get().messages == 100
    sent(5000, timedelta(minutes=4))
    assert len(guard.look(timezone.now())) == 1
    assert GuardPeak.objects.get().messages == 100
    guard.forget(timezone.now() + timedelta(days=500))
    assert not GuardPeak.objects.exists()


def test_a_new_user_may_send_more_and_to_people_who_are_all_new(policy: GuardPolicy) -> None:
    for number in range(120):
        sent(1, timedelta(minutes=5), f"u{number}@example.net")
    assert guard.look(timezone.now()) == []
    sent(40, timedelta(minutes=4))
    [event] = guard.look(timezone.now())
    assert event.said == ["Sent 160 messages in the last hour; the busiest hour of the 30 days before had 0."]


def test_an_exempt_user_is_never_looked_at(policy: GuardPolicy) -> None:
    policy.exempt.add(User.objects.get(email=ANN))
    sent(5000, timedelta(minutes=5))
    assert guard.look(timezone.now()) == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_who_is_caught_and_the_domains_administrators_are_told_that_it_was_the_guard(
    policy: GuardPolicy, dry_run: bool
) -> None:
    GuardPolicy.objects.update(dry_run=dry_run, action="disable")
    boss = User(email=f"boss@{DOMAIN}", domain=policy.domain, role=Role.DOMAIN_ADMINISTRATOR)
    boss.set_unusable_password()
    boss.save()
    sent(200, timedelta(minutes=5))
    guard.look(timezone.now())
    told = {entry.recipients.get().address: entry for entry in Entry.objects.filter(sender="")}
    assert set(told) == ({boss.email} if dry_run else {boss.email, ANN})
    done = "only looked at" if dry_run else "disabled"
    assert told[boss.email].subject == f"The anomaly guard has {done} {ANN}"
    text = path_of(told[boss.email].subspool, told[boss.email].file_name).read_text()
    assert "Sent 200 messages in the last hour" in text
    assert ("nothing was done" in text) == dry_run


def test_without_a_database_there_are_networks_alone(policy: GuardPolicy) -> None:
    GuardPolicy.objects.update(new_networks=1, new_countries=1, factor=1000)
    sent(60, timedelta(days=2))
    sent(60, timedelta(minutes=5), ip="198.51.100.9")
    [event] = guard.look(timezone.now())
    assert event.said == ["Sent or logged in from 1 network not seen in the 30 days before: 198.51.100.0/24."]


def test_a_database_that_is_replaced_is_read_anew(countries: Path) -> None:
    assert country_of("192.0.2.1") == "Netherlands"
    assert [country_of(text) for text in ("203.0.113.1", "", "nonsense", "unix:")] == [""] * 4
    write_countries(countries.with_name("new"), {"192.0.2.0/24": "Belgium"})
    countries.with_name("new").replace(countries)
    assert country_of("192.0.2.1") == "Belgium"


@pytest.mark.parametrize("content", [None, b"", b"no database at all"])
def test_a_database_that_can_not_be_read_is_said_at_the_start_and_harms_nothing(
    settings: Any, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "country.mmdb"
    if content is not None:
        path.write_bytes(content)
    settings.MAILSPOOL_GEOIP_DATABASE = str(path)
    [warning] = unreadable()
    assert "countries of IP addresses can't be told" in warning.msg
    assert country_of("192.0.2.1") == ""


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"country": {"iso_code": "NL"}}, "NL"),
        ({"registered_country": {"names": {"en": "Japan"}}}, "Japan"),
        ({"country": "Brazil", "country_code": "BR"}, "Brazil"),
        ({"country_code": "BR"}, "BR"),
        ({}, ""),
        ({"country": {"names": []}}, ""),
    ],
)
def test_the_usual_databases_are_understood(record: dict[str, Any], name: str) -> None:
    assert _name(record) == name


def test_a_disabled_users_mail_is_held_and_goes_on_after_the_undo(policy: GuardPolicy) -> None:
    GuardPolicy.objects.update(action="disable")
    sent(200, timedelta(minutes=5))
    submission = a_submission(ANN)
    submission.envelope.auth_user = ANN
    (entry,) = take_in(submission)
    [event] = guard.look(timezone.now())
    entry.refresh_from_db()
    assert (entry.hold, entry.hold_reason) == (True, "Caught by the anomaly guard")
    assert User.objects.get(email=ANN).status == Status.RECEIVING
    guard.undo(ROOT, event)
    assert Entry.objects.get(pk=entry.pk).hold is False
    assert User.objects.get(email=ANN).status == Status.ENABLED


def test_only_the_domains_administrators_take_it_back(policy: GuardPolicy) -> None:
    sent(200, timedelta(minutes=5))
    [event] = guard.look(timezone.now())
    with pytest.raises(NotAllowed):
        guard.undo(Actor("x@other.test", Role.DOMAIN_ADMINISTRATOR, "other.test"), event)
    assert "has back" in guard.undo(Actor(f"boss@{DOMAIN}", Role.DOMAIN_ADMINISTRATOR, DOMAIN), event)


def test_the_page_shows_the_evidence_and_undoes_it(administrator: Client, policy: GuardPolicy) -> None:
    here = reverse("admin:throttling_guardevent_changelist")
    assert "No incidents" in administrator.get(here).content.decode()
    sent(200, timedelta(minutes=5))
    guard.look(timezone.now())
    text = administrator.get(here).content.decode()
    assert "Sent 200 messages in the last hour" in text
    event = GuardEvent.objects.get()
    url = reverse("admin:throttling_guardevent_undo", args=[event.pk])
    assert administrator.get(url).status_code == 405
    assert "has back" in administrator.post(url).content.decode()
    assert "Undone by admin@localhost" in administrator.get(here).content.decode()
    assert administrator.get(reverse("admin:throttling_guardpolicy_changelist")).status_code == 200
