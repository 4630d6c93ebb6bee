"""Reporting mistakes to real engines when quarantined mail is resent or deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.models import Role, User
from base.sealed import seal
from quarantine.engines.answers import EngineFailed
from quarantine.engines.mistakes import understand_rspamd, understand_spamd
from quarantine.models import Check, CheckKind, Item, ItemKind, ItemState
from spool.actions import Actor, Refused, perform, preview
from spool.models import Entry
from spool.models.bulkjob import BulkJob, JobState
from spool.tasks import run_bulk_job
from tests.quarantine.spamming import a_check
from tests.support.broken_server import BrokenServer
from tests.support.commands import manage_with
from tests.support.rspamd import PASSWORD, Rspamd
from tests.support.spamd import Spamd

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
Quarantined = Callable[..., Item]


@pytest.fixture(scope="module")
def spamd_that_learns() -> Iterator[Spamd]:
    server = Spamd(learns=True)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def rspamd_that_learns() -> Iterator[Rspamd]:
    server = Rspamd(learns=True)
    server.start()
    yield server
    server.remove()


def a_text(number: int) -> bytes:
    words = " ".join(f"word{number}x{place} lunch invoice meeting" for place in range(30))
    return f"From: ann@example.org\r\nSubject: Number {number}\r\nMessage-ID: <{number}@x>\r\n\r\n{words}\r\n".encode()


def test_spamassassin_learns_what_is_resent_and_what_is_deleted(
    spamd_that_learns: Spamd, quarantined: Quarantined, admin: Actor
) -> None:
    a_check(CheckKind.SPAMD, 2, where=spamd_that_learns.address, timeout_seconds=30, learns=True, outbound=True)
    good, bad = quarantined(content=a_text(1)), quarantined(content=a_text(2))
    other = quarantined(content=a_text(3))
    assert perform("quarantine-resend", [good.id], admin, learn=True).sentence == "1 resent"
    assert perform("quarantine-delete", [bad.id], admin, learn=True).sentence == "1 deleted"
    perform("quarantine-resend", [other.id], admin)
    assert spamd_that_learns.learned() == (1, 1)
    assert Entry.objects.count() == 2 and Item.objects.get().state == ItemState.DELETED


def test_rspamd_learns_at_its_controller_with_its_password(
    rspamd_that_learns: Rspamd, quarantined: Quarantined, admin: Actor
) -> None:
    check = a_check(
        CheckKind.RSPAMD,
        2,
        where=rspamd_that_learns.address,
        timeout_seconds=30,
        learns=True,
        outbound=True,
        learn_where=rspamd_that_learns.controller,
    )
    good, bad = quarantined(content=a_text(4)), quarantined(content=a_text(5))
    refused = perform("quarantine-resend", [good.id], admin, learn=True).sentence
    assert refused.startswith("1 resent, but rspamd has not learned 1: it answered 4"), refused
    Check.objects.filter(pk=check.pk).update(sealed_password=seal(PASSWORD))
    good = quarantined(content=a_text(4))
    assert perform("quarantine-resend", [good.id], admin, learn=True).sentence == "1 resent"
    assert perform("quarantine-delete", [bad.id], admin, learn=True).sentence == "1 deleted"
    assert rspamd_that_learns.learned() == (1, 1)
    # What it knows already is no mistake.
    again = quarantined(content=a_text(4))
    assert perform("quarantine-resend", [again.id], admin, learn=True).sentence == "1 resent"


def test_a_spamd_that_may_not_be_told_says_what_it_needs(spamd: Spamd, quarantined: Quarantined, admin: Actor) -> None:
    a_check(CheckKind.SPAMD, 2, where=spamd.address, timeout_seconds=30, learns=True)
    said = perform("quarantine-resend", [quarantined().id], admin, learn=True).sentence
    assert said.startswith("1 resent, but spamd has not learned 1: ") and "--allow-tell" in said
    assert Entry.objects.count() == 1


def test_a_job_tells_of_all_in_bounded_time_though_an_engine_hangs(
    quarantined: Quarantined, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BrokenServer(None) as hung, BrokenServer(b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n") as quick:
        a_check(CheckKind.SPAMD, 2, where=hung.address, timeout_seconds=1, learns=True, name="hung")
        a_check(CheckKind.SPAMD, 2, where=quick.address, timeout_seconds=1, learns=True, name="quick")
        ids = [quarantined().id for _ in range(23)]
        job = perform("quarantine-delete", ids, admin, background=True, learn=True).job
        run_bulk_job(job.id)
        assert quick.connections == hung.connections == 23
    done = BulkJob.objects.get(pk=job.pk)
    assert (done.state, done.done) == (JobState.DONE, 23)
    assert done.event.outcome == "23 deleted, but hung has not learned 20: no answer within 1 s"


def test_no_report_is_promised_where_no_engine_takes_one(quarantined: Quarantined, admin: Actor) -> None:
    item = quarantined()
    with pytest.raises(Refused, match="No engine takes reports"):
        preview("quarantine-resend", [item.id], admin, learn=True)
    assert Item.objects.get().state == ItemState.HELD


def test_an_infected_message_is_nothing_to_learn_from(quarantined: Quarantined, admin: Actor) -> None:
    with BrokenServer(b"SPAMD/1.1 0 EX_OK\r\n\r\n") as server:
        a_check(CheckKind.SPAMD, 2, where=server.address, timeout_seconds=1, learns=True)
        perform("quarantine-resend", [quarantined(ItemKind.VIRUS).id], admin, learn=True)
        assert server.connections == 0


def test_dialog_and_command_ask_for_it(
    quarantined: Quarantined, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = User.objects.create_superuser("root@example.org")
    client = Client()
    client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    with BrokenServer(b"SPAMD/1.1 0 EX_OK\r\n\r\n") as server:
        a_check(CheckKind.SPAMD, 2, where=server.address, timeout_seconds=1, learns=True)
        item, other = quarantined(), quarantined()
        given = {"ids": str(item.id), "page": "admin:quarantine_item_spam"}
        shown = client.post("/admin/quarantine/item/action/resend/", given).content.decode()
        assert "Train as ham" in shown
        shown = client.post("/admin/quarantine/item/action/delete/", {**given, "p-learn": "1"}).content.decode()
        assert "The engines that take reports are told that they are spam." in shown
        client.post("/admin/quarantine/item/action/delete/perform/", {**given, "p-learn": "1"})
        assert server.connections == 1 and Item.objects.get(pk=item.pk).state == ItemState.DELETED
        manage = manage_with(capsys, monkeypatch, "quarantine")
        ran = manage("quarantine", "resend", "--kind", "spam", "--all", "--learn", "--yes")
        assert (ran.status, server.connections) == (0, 2), ran.err
    assert not Item.objects.filter(pk=other.pk).exists()


@pytest.mark.parametrize(
    ("understand", "reply", "why"),
    [
        (understand_spamd, b"SPAMD/1.1 0 EX_OK\r\n\r\n", ""),
        (understand_spamd, b"", "closed the connection"),
        (understand_spamd, b"\x00\xff", "makes no sense"),
        (understand_spamd, b"SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled\r\n", "--allow-tell"),
        (understand_rspamd, b'HTTP/1.0 200 OK\r\n\r\n{"success":true}', ""),
        (understand_rspamd, b'HTTP/1.1 208 known\r\n\r\n{"error":"learned already"}', ""),
        (understand_rspamd, b'HTTP/1.1 403 Forbidden\r\n\r\n{"error":"bad password"}', "403 Forbidden: bad password"),
        (understand_rspamd, b"HTTP/1.1 500 Oops\r\n\r\n[]", "it answered 500 Oops"),
        (understand_rspamd, b"", "closed the connection"),
        (understand_rspamd, b"GARBAGE", "makes no sense"),
    ],
)
def test_an_answer_is_understood_or_said_to_make_no_sense(
    understand: Callable[[bytes], None], reply: bytes, why: str
) -> None:
    if not why:
        understand(reply)
        return
    with pytest.raises(EngineFailed) as failed:
        understand(reply)
    assert why in str(failed.value)


def test_only_engines_can_learn_and_a_controller_has_an_address() -> None:
    with pytest.raises(ValidationError) as refused:
        Check(name="x", kind=CheckKind.SPF, learns=True).full_clean()
    assert refused.value.message_dict["learns"] == ["Only SpamAssassin and Rspamd learn."]
    with pytest.raises(ValidationError) as refused:
        Check(name="x", kind=CheckKind.RSPAMD, learns=True, learn_where="nowhere").full_clean()
    assert "learn_where" in refused.value.message_dict
    check = Check(name="x", kind=CheckKind.RSPAMD, learns=True)
    check.full_clean()
    assert check.learn_where == "127.0.0.1:11334"


def test_the_password_of_a_controller_is_kept_sealed_and_never_shown() -> None:
    client = Client()
    root = User.objects.create_superuser("root@example.org")
    assert root.role == Role.SYSTEM_ADMINISTRATOR
    client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    fields = {
        "name": "Rspamd",
        "kind": "rspamd",
        "weight": "1",
        "inbound": "on",
        "timeout_seconds": "5",
        "learns": "on",
        "password": "hunter2-hunter2",
    }
    answer = client.post("/admin/quarantine/check/add/", fields)
    assert answer.status_code == 302, answer.content.decode()
    check = Check.objects.get()
    assert check.sealed_password and "hunter2" not in check.sealed_password
    assert "hunter2" not in client.get(f"/admin/quarantine/check/{check.pk}/change/").content.decode()
    client.post(f"/admin/quarantine/check/{check.pk}/change/", {**fields, "learns": "", "password": ""})
    assert Check.objects.get().sealed_password == ""
