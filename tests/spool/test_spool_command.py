"""`manage.py spool`: what each verb does, what it answers, and how it ends."""

from __future__ import annotations

import io
import json
import mailbox
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mailspool.home import Home
from spool.files.store import path_of
from spool.models import AuditEvent, Entry, Outcome, Priority, Recipient, Status
from spool.traffic import rollup
from tests.support.commands import Manage, manage_with
from tests.support.spool_states import attempt

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

Spooled = Callable[..., Entry]


@pytest.fixture
def spool(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    manage = manage_with(capsys, monkeypatch, "spool")
    return lambda *arguments, **options: manage("spool", *arguments, **options)


def test_list_shows_what_matches_and_ends_with_1_when_nothing_does(spool: Manage, spooled: Spooled) -> None:
    entry = spooled(sender="eve@example.com", subject="Invoice 7")
    spooled()
    for condition in (
        ("--sender", "eve@example.com"),
        ("--sender", "eve@*"),
        ("--sender-domain", "example.com"),
        ("--subject", "invoice"),
        ("--id", entry.file_name),
        ("--search", "eve@example.com"),
        ("--search", "invoice"),
    ):
        found = spool("list", *condition, "--json")
        assert [row["Filename"] for row in found.json] == [entry.file_name], condition
    assert spool("list", "--sender", "nobody@example.com").status == 1
    assert len(spool("list", "--json").json) == 2
    assert "More than 1 match" in spool("list", "--limit", "1").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--older", "soon"),
        ("list", "--larger", "huge"),
        ("list", "--ip", "1.2.3"),
        ("list", "--search", "foo:bar"),
        ("list", "--nothing"),
        ("delete", "--yes"),
        ("priority", "urgent", "--all"),
        ("redirect", "--all"),
        ("hold", "--all"),
    ],
)
def test_what_makes_no_sense_ends_with_2(spool: Manage, spooled: Spooled, arguments: tuple[str, ...]) -> None:
    spooled()
    ran = spool(*arguments)
    assert ran.status == 2
    assert ran.err
    assert not AuditEvent.objects.exists()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(spool: Manage, spooled: Spooled) -> None:
    entry = spooled()
    ran = spool("delete", "--sender", "ann@example.org", "--dry-run")
    assert ran.status == 0
    assert "Delete: 1 messages from ann@example.org." in ran.out
    assert entry.file_name in ran.out
    assert Entry.objects.exists()
    assert not AuditEvent.objects.exists()
    assert spool("delete", "--all", "--dry-run", "--json").json["matched"] == 1


def test_delete_and_undo_by_the_number_it_says(spool: Manage, spooled: Spooled) -> None:
    entry = spooled()
    done = spool("delete", "--all", "--yes", "--json")
    assert (done.status, done.json["done"], done.json["outcome"]) == (0, 1, "1 deleted")
    assert spool("delete", "--all", "--yes").status == 1
    number = str(done.json["event"])
    assert f"spool undo {number}" in spool("show", entry.file_name).out
    assert spool("undo", number, "--dry-run").status == 0
    assert spool("undo", number, "--yes").out == "1 put back\n"
    assert spool("undo", number, "--yes").status == 1
    assert Entry.objects.get().file_name == entry.file_name
    spool("delete", "--all", "--yes")
    assert spool("undo", entry.file_name, "--yes", "--json").json["done"] == 1


def test_every_action_has_its_verb(spool: Manage, spooled: Spooled, home: Home) -> None:
    spooled(status=Status.WAITING, attempts=4)
    assert spool("force", "--status", "waiting", "--yes").out.startswith("1 forced")
    assert Entry.objects.get().priority == Priority.HIGH
    assert spool("priority", "low", "--priority", "high", "--yes").status == 0
    assert Entry.objects.get().priority == Priority.LOW
    assert spool("reset", "--min-attempts", "4", "--yes").status == 0
    assert Entry.objects.get().attempts == 0
    assert spool("hold", "--all", "--reason", "Look", "--until", "2h", "--yes").status == 0
    assert "On hold: Look until" in spool("show", Entry.objects.get().file_name).out
    assert spool("release", "--hold", "yes", "--yes").status == 0
    assert spool("redirect", "--all", "--next-hop", "192.0.2.9:2525", "--yes").status == 0
    assert Entry.objects.get().next_hop == "192.0.2.9:2525"
    assert spool("redirect", "--all", "--to", "eve@example.com", "--yes").status == 0
    assert Recipient.objects.get(status="pending").address == "eve@example.com"
    assert spool("resend", "--all", "--to", "zoe@example.com", "--yes").status == 0
    assert Entry.objects.count() == 2
    assert spool("move", "--all", "--yes").out.startswith("2 moved")
    assert len(list((home.root / "moved").iterdir())) == 4
    assert spool("put-back", "--yes").out == "2 put back\n"
    assert spool("put-back", "--yes").status == 1
    actions = [row["Action"] for row in spool("audit", "--json").json]
    assert actions == [
        "put-back",
        "move",
        "resend",
        "redirect",
        "redirect",
        "release",
        "hold",
        "reset",
        "priority",
        "force",
    ]
    assert {row["State"] for row in spool("jobs", "--json").json} == {"Done"}
    assert spool("move", "--all", "--folder", "/etc", "--yes").status == 1


def test_without_a_terminal_nothing_is_done_unasked(spool: Manage, spooled: Spooled) -> None:
    spooled()
    assert spool("delete", "--all", stdin="y\n").status == 2
    assert Entry.objects.exists()


def test_export_makes_files_that_other_programs_read(
    spool: Manage,
    spooled: Spooled,
    tmp_path: Path,
) -> None:
    entry = spooled(subject="=cmd|'/c calc'!A1", content=b"Subject: x\r\n\r\nFrom here\r\n>From there\r\n")
    Entry.objects.update(subject="=cmd|'/c calc'!A1")
    content = path_of(entry.subspool, entry.file_name).read_bytes()
    for form in ("zip", "mbox", "csv", "json"):
        assert spool("export", "--all", "--format", form, "--output", str(tmp_path / form)).status == 0
    with zipfile.ZipFile(io.BytesIO((tmp_path / "zip").read_bytes())) as archive:
        assert archive.testzip() is None
        assert archive.read(entry.file_name) == content
    [message] = mailbox.mbox(tmp_path / "mbox")
    assert message.get_payload() == ">From here\n>>From there\n"
    assert "'=cmd|'/c calc'!A1" in (tmp_path / "csv").read_text()
    [row] = json.loads((tmp_path / "json").read_text())
    assert (row["recipients"], row["subject"]) == (["bob@example.net"], "=cmd|'/c calc'!A1")
    assert spool("export", "--all", "--output", str(tmp_path / "zip")).status == 1
    assert spool("export", "--sender", "nobody@example.com", "--output", str(tmp_path / "none")).status == 1
    assert sum(event.outcome == "1 exported" for event in AuditEvent.objects.filter(action="export")) == 4


def test_white_space_of_all_kinds_is_shown_as_space(spool: Manage, spooled: Spooled) -> None:
    entry = spooled()
    Entry.objects.update(subject="one\ttwo\xa0three")
    assert "Subject: one two three" in spool("show", entry.file_name).out


def test_what_strangers_write_does_not_control_the_terminal(spool: Manage, spooled: Spooled) -> None:
    spooled()
    Entry.objects.update(subject="\x1b]0;owned\x07[red]x", sender="a\x9bb@example.org")
    for arguments in (("list",), ("delete", "--all", "--dry-run"), ("show", Entry.objects.get().file_name)):
        out = spool(*arguments).out
        assert "\x1b" not in out
        assert "\x9b" not in out
        assert "\x07" not in out


def test_a_trace_names_the_session_that_a_message_came_in_by(spool: Manage, spooled: Spooled) -> None:
    entry = spooled()
    Entry.objects.update(tls="TLSv1.3 TLS_AES_256_GCM_SHA384", port=465, ehlo_name="client.example.org")
    spool("delete", "--all", "--yes")
    shown = spool("show", entry.file_name, "--json").json
    assert (shown["TLS"], shown["Port"], shown["EHLO name"]) == (
        "TLSv1.3 TLS_AES_256_GCM_SHA384",
        465,
        "client.example.org",
    )


def test_stats_of_traffic_show_who_sends_most(spool: Manage, spooled: Spooled) -> None:
    assert "Nothing is counted yet" in spool("stats", "--traffic").out
    attempt([spooled(sender="eve@example.com"), spooled(), spooled()], "250 ok", outcome=Outcome.DELIVERED)
    rollup.roll_up()
    rows = spool("stats", "--traffic", "--json").json
    assert [(row["Which"], row["24 hours"]) for row in rows if row["Table"] == "Top Outbound Senders"] == [
        ("ann@example.org", 2),
        ("eve@example.com", 1),
    ]
    assert [(row["Which"], row["1 hour"]) for row in rows[:2]] == [("Local deliveries", 0), ("Remote deliveries", 3)]


def test_stats_name_the_statuses_in_the_order_in_which_a_message_has_them(spool: Manage, spooled: Spooled) -> None:
    for status in ("waiting", "remote", "delay", "throttled", "spam", "scheduled", "local", "virus"):
        Entry.objects.filter(pk=spooled().pk).update(status=status)
    assert [row["Status"] for row in spool("stats", "--json").json] == list(Status.labels)


def test_times_have_their_zone(spool: Manage, spooled: Spooled) -> None:
    entry = spooled()
    assert spool("hold", "--id", entry.file_name, "--until", "2h", "--yes").status == 0
    assert spool("list", "--json").json[0]["Next Attempt"].endswith(" UTC")
    [event] = spool("audit", "--json").json
    assert event["When"].endswith(" UTC")
