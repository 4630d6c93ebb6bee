"""Which of several machines took a message in and which tried it: in rows, popup, list, command and log."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Role, User
from spool.events import mail_log
from spool.filters import SpoolFilter, page
from spool.models import Attempt, Entry
from tests.spool.passing import FAR, Spool, spool
from tests.support.commands import manage_with

__all__ = ["spool"]


@pytest.fixture
def pages(client: Client) -> Client:
    user = User(email="admin@localhost", role=Role.SYSTEM_ADMINISTRATOR)
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    return client


def test_it_is_noted_with_the_message_and_each_attempt_and_said_wherever_one_looks(
    spool: Spool,
    pages: Client,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spool.peer.on["RCPT"] = "450 4.2.1 Later"
    settings.MAILSPOOL_MACHINE = "mx1"
    with caplog.at_level(logging.INFO, mail_log.NAME):
        name = spool.take()
        settings.MAILSPOOL_MACHINE = "mx2"
        spool.work()
    entry = Entry.objects.get(file_name=name)
    assert (entry.machine, list(Attempt.objects.values_list("machine", flat=True))) == ("mx1", ["mx2"])
    said = "\n".join(str(record.msg) for record in caplog.records)
    assert f"id={name[:-4]} event=accepted machine=mx1 " in said
    assert f"id={name[:-4]} event=attempt machine=mx2 " in said
    spool.take()
    assert [found.file_name for found in page(SpoolFilter.parse({"machine": "mx1"})).entries] == [name]
    popup = pages.get(reverse("admin:spool_entry_message", args=[name]), headers={"HX-Request": "true"})
    assert "<dt>Machine</dt><dd>mx1</dd>" in popup.text
    assert " · by mx2" in popup.text
    shown = manage_with(capsys, monkeypatch, "spool")("spool", "show", name).out
    assert "mx1" in shown
    assert "(by mx2)" in shown


def test_one_machine_says_nothing_of_it(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, mail_log.NAME):
        name = spool.take(f"bob@{FAR}")
    assert Entry.objects.get(file_name=name).machine == ""
    assert not any("machine=" in str(record.msg) for record in caplog.records)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", "mx1"])
def test_a_list_offers_the_machine_where_messages_have_one(name: str, pages: Client, settings: Any) -> None:
    settings.MAILSPOOL_MACHINE = name
    listed = pages.get(reverse("admin:spool_entry_changelist")).text
    assert ("Machine that took it in" in listed) is bool(name)
    assert ('value="machine"' in listed) is bool(name)
