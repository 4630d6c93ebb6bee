"""Stop and False alarm: what an incident asks for is done at once, and taken back at once."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils.translation import override

from accounts.models import Containment, Domain, Role, Status, User
from base.actions import registry
from base.actions.action import Refused, Target
from base.actions.perform import Done, perform, preview
from base.audit.models import AuditEvent
from mailspool.incident import stop as stopping
from mailspool.incident.false_alarm import FALSE_ALARM
from mailspool.incident.stop import STOP
from security import actions as security
from security.models import BlacklistEntry, SMTPBlock, WhitelistEntry
from spool.actions import Actor, jobs
from spool.models import BulkJob, Entry, Trashed
from tests.console.test_incident import ANN, IP, ann, sent  # noqa: F401 – ann is a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home", "redis")]
ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)
PASSWORD = "a-rather-long-secret"


def a_target(kind: str, key: str) -> Target:
    target = registry.thing(kind, key)
    assert target is not None
    return target


def stop(kind: str = "user", key: str = ANN, **given: object) -> Done:
    return perform(STOP, ROOT, a_target(kind, key), given)


def back(kind: str = "user", key: str = ANN, **given: object) -> Done:
    return perform(FALSE_ALARM, ROOT, a_target(kind, key), given)


@pytest.fixture
def everything(ann: User) -> User:  # noqa: F811
    """An account with a password, mail in the spool, and an administrator of its domain."""
    ann.set_password(PASSWORD)
    ann.save()
    chief = User(email="chief@example.org", domain=ann.domain, role=Role.DOMAIN_ADMINISTRATOR)
    chief.set_unusable_password()
    chief.save()
    sent(3)
    sent(2, ip="203.0.113.67")
    sent(1, user="ben@example.org", sender="ben@example.org")
    return ann


def test_one_action_contains_deletes_blocks_and_tells_and_one_takes_all_of_it_back(everything: User) -> None:
    given = {
        "account": "1",
        "mail": "delete",
        "ips": [IP, "203.0.113.67"],
        "tell": ["postmaster", "administrators"],
        "also": "ann@home.test, ann@home.test",
    }
    told = ["postmaster@mail.test", "chief@example.org", "ann@home.test"]
    shown = preview(STOP, ROOT, a_target("user", ANN), given).effect
    for part in (
        "The account is contained",
        "0 connections end.",
        "5 messages in the spool: deleted",
        f"2 IP addresses blocked over SMTP: {IP}, 203.0.113.67.",
        f"Told by mail: {', '.join(told)}.",
    ):
        assert part in shown
    done = stop(**given)
    assert done.good and done.undo is not None, done.sentence
    everything.refresh_from_db()
    assert everything.status == Status.RECEIVING and not everything.check_password(PASSWORD)
    assert Trashed.objects.count() == 5
    assert list(Entry.objects.exclude(origin="command").values_list("auth_user", flat=True)) == ["ben@example.org"]
    assert set(BlacklistEntry.objects.values_list("network", flat=True)) == {IP, "203.0.113.67"}
    assert Entry.objects.filter(origin="command").count() == 3
    assert "5 messages deleted." in done.sentence
    # What was kept of it is in the language of whoever looks.
    with override("de"):
        said = AuditEvent.objects.get(action="stop").outcome
    assert "5 Nachrichten gelöscht. " in said and "chief@example.org wurde benachrichtigt." in said

    asked = preview(FALSE_ALARM, ROOT, a_target("user", ANN)).effect
    assert "old password" in asked and "5 deleted messages put back" in asked and IP in asked
    done = perform(FALSE_ALARM, ROOT, done.undo.target, done.undo.given)
    assert done.good, done.sentence
    everything.refresh_from_db()
    assert everything.status == Status.ENABLED and everything.check_password(PASSWORD)
    assert Entry.objects.filter(auth_user=ANN, hold=False).count() == 5
    assert not Trashed.objects.exists() and not BlacklistEntry.objects.exists()
    assert Entry.objects.filter(origin="command").count() == 6
    with pytest.raises(Refused, match="is not stopped"):
        back()


def test_what_was_held_goes_on_and_what_somebody_else_held_does_not(everything: User) -> None:
    mine, *_ = Entry.objects.filter(auth_user=ANN)
    Entry.objects.filter(pk=mine.pk).update(hold=True, hold_reason="A question", due_at=None)
    done = stop("ip", IP, mail="hold", ips=[IP])
    assert Entry.objects.filter(client_ip=IP, hold=True).count() == 4
    assert not Entry.objects.filter(client_ip="203.0.113.67", hold=True).exists()
    assert back("ip", IP).good and done.good
    assert list(Entry.objects.filter(hold=True).values_list("hold_reason", flat=True)) == ["A question"]
    assert not BlacklistEntry.objects.exists()


def test_a_sender_and_a_domain_are_refused_and_taken_again(everything: User) -> None:
    for kind, key in (("sender", "x@far.test"), ("domain", "far.test")):
        sent(2, user="", sender="x@far.test")
        assert stop(kind, key, mail="delete", refuse="1", account="1").good
        assert SMTPBlock.objects.get().pattern == key and not Entry.objects.filter(sender="x@far.test").exists()
        assert not Containment.objects.exists()
        assert back(kind, key).good
        assert not SMTPBlock.objects.exists() and Entry.objects.filter(sender="x@far.test", hold=False).count() == 2
        Entry.objects.filter(sender="x@far.test").delete()


def test_what_was_so_before_stays_so(everything: User) -> None:
    security.blacklist(ROOT, IP)
    perform_contain = registry.find("user", "contain")
    assert perform_contain is not None
    perform(perform_contain, ROOT, a_target("user", ANN), {"password": ""})
    assert stop(account="1", ips=[IP]).good
    assert back().good
    assert BlacklistEntry.objects.exists() and Containment.objects.open().exists()


def test_what_can_not_be_done_is_said_and_the_rest_is_done(everything: User) -> None:
    WhitelistEntry.objects.create(network="203.0.113.0/24", smtp=True)
    done = stop(account="1", ips=[IP])
    assert not done.good and "Not done:" in done.sentence
    assert Containment.objects.open().exists() and not BlacklistEntry.objects.exists()
    assert back().good


def test_a_large_number_is_left_to_a_worker_and_the_way_back_stops_it(
    everything: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "MOST_AT_ONCE", 2)
    done = stop("ip", IP, mail="delete")
    assert "in the background" in done.sentence and not Trashed.objects.exists()
    assert back("ip", IP).good
    job = BulkJob.objects.get(action="delete")
    jobs.work(job.pk)
    assert Entry.objects.filter(client_ip=IP).count() == 4


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "Choose what is to be done"),
        ({"tell": ["postmaster"]}, "Choose what is to be done"),
        ({"ips": ["1.2.3"]}, "is no IP address"),
        ({"account": "1", "also": "nobody"}, "needs a local part"),
        ({"account": "1", "mail": "burn"}, "is none of"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_done(
    everything: User, given: dict[str, object], reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        stop(**given)
    assert not AuditEvent.objects.filter(action="stop").exists() and not Containment.objects.exists()


def test_nobody_contains_the_own_account(everything: User) -> None:
    with pytest.raises(Refused, match="contain yourself"):
        perform(STOP, Actor(ANN, Role.SYSTEM_ADMINISTRATOR), a_target("user", ANN), {"account": "1"})


def test_the_page_has_both_and_asks_before_either(administrator: Client, everything: User) -> None:
    page = administrator.get(f"/admin/incident/user/{ANN}/").content.decode()
    assert "/admin/menu/user/stop/" in page and "/admin/menu/user/false-alarm/" not in page
    dialog = administrator.post("/admin/menu/user/stop/", {"key": ANN}).content.decode()
    assert re.search(rf'name="p-ips" value="{IP}"', dialog) and 'name="p-account" value="1" checked' in dialog
    assert "5 messages in the spool: put on hold." in dialog
    # What is chosen is previewed anew.
    changed = administrator.post(
        "/admin/menu/user/stop/", {"key": ANN, "p-account": "1", "p-mail": "delete", "p-ips": [IP]}
    ).content.decode()
    assert "deleted, without a bounce" in changed and f"blocked over SMTP: {IP}." in changed
    done = administrator.post("/admin/menu/user/stop/now/", {"key": ANN, "p-account": "1", "p-mail": "hold"})
    assert "Undo" in done.content.decode()
    page = administrator.get(f"/admin/incident/user/{ANN}/").content.decode()
    assert "/admin/menu/user/false-alarm/" in page and "Stopped" in page
    asked = administrator.post("/admin/menu/user/false-alarm/", {"key": ANN}).content.decode()
    assert "old password" in asked
    administrator.post("/admin/menu/user/false-alarm/now/", {"key": ANN})
    everything.refresh_from_db()
    assert everything.status == Status.ENABLED


def test_domain_administrators_of_others_are_not_told(everything: User) -> None:
    other = User(
        email="other@other.test", domain=Domain.objects.create(name="other.test"), role=Role.DOMAIN_ADMINISTRATOR
    )
    other.set_unusable_password()
    other.save()
    assert "Told by mail: chief@example.org." in (
        preview(STOP, ROOT, a_target("user", ANN), {"account": "1", "tell": ["administrators"]}).effect
    )
