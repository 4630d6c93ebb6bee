"""The page of the audit, its export, and the command with the same conditions."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import actions, history
from accounts.models import Role, User
from base.audit.models import AuditEvent
from spool import actions as spool_actions
from tests.audit.events import NOW, an_event
from tests.support.commands import Manage, manage_with
from tests.support.spool_states import take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

PAGE, EXPORT = "admin:audit_auditevent_changelist", "admin:audit_auditevent_export"
ROOT, ANN = "root@example.org", "ann@example.org"


@pytest.fixture
def root() -> Client:
    actions.add_domain("example.org")
    for email, role in ((ROOT, Role.SYSTEM_ADMINISTRATOR), (ANN, Role.USER)):
        user = User(email=email, role=role, domain=actions.get_domain("example.org"))
        user.set_unusable_password()
        user.save()
    AuditEvent.objects.all().delete()
    client = Client(REMOTE_ADDR="198.51.100.7")
    client.force_login(User.objects.get(email=ROOT), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def spool(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    manage = manage_with(capsys, monkeypatch, "spool")
    return lambda *words, **more: manage("spool", *words, **more)


def shown(client: Client, **query: str) -> Any:
    return client.get(reverse(PAGE), query)


def test_a_change_by_a_page_says_from_where_by_which_page_and_what_it_was(root: Client) -> None:
    root.post(reverse("portal:settings"), {"name": "Root"})
    [event] = history.of_user(User.objects.get(email=ROOT))
    assert (event.source, event.ip, event.via) == ("page", "198.51.100.7", "portal:settings")
    assert (event.kind, event.key, event.result, event.said) == ("user", ROOT, "done", "")
    assert event.parameters == {"changed": {"name": ["", "Root"]}}
    text = shown(root).content.decode()
    assert "Display name: empty → Root" in text and "198.51.100.7" in text


def test_the_search_the_filters_and_their_chips(root: Client) -> None:
    mine = an_event(actor=ROOT, key=ANN, kind="user", on=ANN, action="status")
    an_event(actor="eve@example.org")
    for query in ({"q": ANN}, {"actor": ROOT}, {"action": "status", "kind": "user"}, {"q": "statu"}):
        answer = shown(root, **query)
        assert [event.pk for event in answer.context["events"]] == [mine.pk], query
    answer = shown(root, actor=ROOT, action="status")
    assert [chip.phrase for chip in answer.context["chips"]] == [f"By {ROOT}", "Action: Change status"]
    assert [chip.without for chip in answer.context["chips"]] == [
        "action=status&sort=-at",
        "actor=root%40example.org&sort=-at",
    ]
    assert "Nothing matches" in shown(root, actor="nobody@example.org").content.decode()


def test_a_wrong_condition_is_said_and_a_wrong_place_too(root: Client) -> None:
    assert "is no moment" in shown(root, since="soon").content.decode()
    assert "begin at its first page" in shown(root, after="x.y").content.decode()


def test_a_page_of_the_list_costs_the_same_whatever_it_shows(root: Client) -> None:
    an_event(200, kind="user", key=ANN)
    shown(root)
    with CaptureQueriesContext(connection) as of_one:
        shown(root)
    for n in range(120):
        an_event(n, kind="user", key=ANN, parameters={"changed": {"name": ["a", "b"]}})
    with CaptureQueriesContext(connection) as of_many:
        first = shown(root)
    # What is kept for a second may be asked for in between.
    one, many = ([q["sql"] for q in asked if "spool_auditevent" in q["sql"]] for asked in (of_one, of_many))
    assert len(one) == len(many) == 2
    assert len(first.context["events"]) == 50
    second = root.get(f"{reverse(PAGE)}?{first.context['following']}")
    assert len(second.context["events"]) == 50
    assert first.context["events"][-1].at > second.context["events"][0].at


def test_the_old_address_leads_to_the_page(root: Client) -> None:
    assert root.get("/admin/spool/auditevent/")["Location"] == reverse(PAGE)


def test_an_export_has_codes_and_sentences_of_what_was_asked_for_and_is_written_down(root: Client) -> None:
    an_event(1, actor=ROOT, on="=cmd()", parameters={"busy": 2}, skipped=2)
    an_event(2, actor="eve@example.org")
    answer = root.post(reverse(EXPORT), {"format": "csv", "actor": ROOT})
    [row] = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))  # type: ignore[attr-defined]
    assert (row["action"], row["on"], row["result"]) == ("delete", "'=cmd()", "done")
    assert row["outcome"] == "1 deleted, 2 were being delivered" and json.loads(row["parameters"]) == {"busy": 2}
    answer = root.post(reverse(EXPORT), {"format": "json", "q": "delete"})
    rows = json.loads(b"".join(answer.streaming_content))  # type: ignore[attr-defined]
    assert [row["actor"] for row in rows] == [ROOT, "eve@example.org"]
    written = AuditEvent.objects.filter(action="export audit").order_by("id")
    assert [(event.on, event.outcome) for event in written] == [(f"actor {ROOT}", "As CSV"), ("text delete", "As JSON")]
    assert root.post(reverse(EXPORT), {"format": "exe"}).status_code == 400


def test_nobody_else_sees_or_exports_it(root: Client) -> None:
    other = Client()
    other.force_login(User.objects.get(email=ANN), backend="django.contrib.auth.backends.ModelBackend")
    assert shown(other).status_code == 302
    assert other.post(reverse(EXPORT), {"format": "csv"}).status_code == 302
    assert not AuditEvent.objects.filter(action="export audit").exists()


def test_the_command_has_the_same_conditions_and_says_codes_as_json(root: Client, spool: Manage) -> None:
    an_event(1, actor="eve@example.org", key=ANN, kind="user", ip="192.0.2.1", via="portal:settings", source="shell")
    an_event(2, actor=ROOT, at=NOW - timedelta(days=3))
    for words in (
        ["--actor", "eve@example.org"],
        ["--kind", "user", "--key", ANN],
        ["--ip", "192.0.2.1"],
        ["--source", "shell"],
        ["--search", ANN],
        ["--search", "portal"],
        ["--since", f"{NOW - timedelta(days=1):%Y-%m-%d %H:%M}"],
    ):
        [row] = spool("audit", "--json", *words).json
        assert (row["Who"], row["Key"], row["Via"], row["Result"]) == (
            "eve@example.org",
            ANN,
            "portal:settings",
            "done",
        )
    assert [row["Who"] for row in spool("audit", "--sort", "at", "--json").json] == [ROOT, "eve@example.org"]
    assert "eve@example.org" in spool("audit").out
    assert spool("audit", "--actor", "nobody").status == 1
    assert spool("audit", "--since", "soon").status == 2


def test_what_was_done_to_one_message_is_its_history(root: Client) -> None:
    [one], [other] = take_in(), take_in()
    by = spool_actions.Actor.at_the_shell()
    spool_actions.perform("hold", [one.pk], by)
    spool_actions.perform("hold", [one.pk, other.pk], by)
    spool_actions.perform("delete", [one.pk], by)
    answer = shown(root, key=one.file_name)
    assert [event.action for event in answer.context["events"]] == ["delete", "hold"]


def test_a_row_of_before_shows_its_sentence_and_can_be_undone(root: Client) -> None:
    [entry] = take_in()
    done = spool_actions.perform("delete", [entry.pk], spool_actions.Actor.at_the_shell())
    # As the version before wrote it.
    AuditEvent.objects.update(result="", said="1 deleted, long ago", kind="", key="", parameters={})
    text = shown(root).content.decode()
    assert "1 deleted, long ago" in text and reverse("admin:spool_entry_undo", args=[done.event.pk]) in text
    root.post(reverse("admin:spool_entry_undo", args=[done.event.pk]))
    assert AuditEvent.objects.get(pk=done.event.pk).undone == 1


def test_the_history_of_a_row_is_what_the_audit_has_of_it_also_under_another_name(root: Client) -> None:
    ann = User.objects.get(email=ANN)
    actions.change(ann, name="Ann")
    User.objects.filter(pk=ann.pk).update(email="anna@example.org")
    actions.change(User.objects.get(pk=ann.pk), name="Anna")
    answer = root.get(reverse("admin:accounts_user_history", args=[ann.pk]), follow=True)
    assert [event.key for event in answer.context["events"]] == ["anna@example.org", ANN]
    assert root.get(reverse("admin:accounts_user_history", args=[999])).status_code == 404
