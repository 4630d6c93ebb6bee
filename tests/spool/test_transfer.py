"""Messages carried between spools as files: `spool export --format folder` and `spool import`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import actions as accounts
from accounts import directory
from spool.actions import Actor, import_folder
from spool.files.store import path_of
from spool.flow import intake
from spool.models import AuditEvent, Entry, Recipient, Trace
from spool.models.entry import Origin, Priority
from spool.transfer import envelopes, postcat
from tests.support.commands import Manage, Ran, manage_with
from tests.support.emptying import empty_database

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

Spooled = Callable[..., Entry]
CONTENT = b"Subject: Hello\r\nX-A: \xff\r\n\r\n.\r\nFrom me\r\n  trailing  \r\n"
POSTCAT = b"""*** ENVELOPE RECORDS deferred/D/D6A292200F9 ***
message_size:            5349             766               2              24            5349               0
message_arrival_time: Sun Nov 22 11:26:48 2026
named_attribute: log_ident=D6A292200F9
named_attribute: envelope_id=abc+
named_attribute: ret_flags=2
sender: ann@a.test
named_attribute: encoding=8bit
named_attribute: log_client_address=192.0.2.7
named_attribute: log_helo_name=client.test
named_attribute: sasl_username=ann
named_attribute: notify_flags=12
named_attribute: dsn_orig_rcpt=rfc822;b+1@b.test
original_recipient: alias@b.test
recipient: b@b.test
done_recipient: done@b.test
original_recipient: c@c.test
recipient: c@c.test
*** MESSAGE CONTENTS deferred/D/D6A292200F9 ***
Subject: x

recipient: forged@evil.test
*** HEADER EXTRACTED deferred/D/D6A292200F9 ***
recipient: forged@evil.test
*** MESSAGE FILE END deferred/D/D6A292200F9 ***
last line
*** HEADER EXTRACTED deferred/D/D6A292200F9 ***
named_attribute: encoding=8bit
recipient: late@c.test
*** MESSAGE FILE END deferred/D/D6A292200F9 ***
"""


@pytest.fixture
def spool(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    manage = manage_with(capsys, monkeypatch, "spool")
    return lambda *arguments, **options: manage("spool", *arguments, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "carried"
    path.mkdir()
    return path


@pytest.fixture
def take(spool: Manage, folder: Path) -> Callable[..., Ran]:
    return lambda *options: spool("import", str(folder), *options)


def _content(entry: Entry) -> bytes:
    return path_of(entry.subspool, entry.file_name).read_bytes()


def _put(folder: Path, name: str, envelope: Any, content: bytes = CONTENT) -> None:
    (folder / f"{name}.eml").write_bytes(content)
    (folder / f"{name}.json").write_text(json.dumps(envelope))


def _elsewhere() -> None:
    """Another installation: nothing is known here of what was there."""
    empty_database()
    directory.forget()


def test_two_mailspools_exchange_mail(spool: Manage, spooled: Spooled, folder: Path) -> None:
    accounts.add_domain("here.test")
    old = timezone.now() - timedelta(days=2)
    first = spooled(to=["bob@x.test", "carl@x.test", "dora@y.test"], content=CONTENT, attempts=3, created=old)
    Entry.objects.filter(pk=first.pk).update(
        priority=Priority.HIGH,
        auth_user="ann@here.test",
        client_ip="192.0.2.1",
        ehlo_name="pc",
        envid="a+2Bb",
        ret="HDRS",
        delay_notified=True,
        tls="TLSv1.3",
        port=587,
    )
    Recipient.objects.filter(address="carl@x.test").update(status="delivered", last_reply="250 ok")
    Recipient.objects.filter(address="dora@y.test").update(
        notify="FAILURE", orcpt="rfc822;d@y.test", original="d@here.test"
    )
    second = spooled(sender="", to="bob@x.test", hold=True, hold_reason="A look first", due_at=None)
    sent = {entry.file_name: _content(entry) for entry in (first, second)}
    exported = spool("export", "--format", "folder", "--output", str(folder), "--all", "--json")
    assert (exported.status, exported.json["done"]) == (0, 2)
    again = spool("export", "--format", "folder", "--output", str(folder), "--all")
    assert again.status == 0, again.err
    _elsewhere()

    ran = spool("import", str(folder), "--hold", "--json")
    assert (ran.status, ran.json["totals"]) == (0, {"taken": 2, "known": 0, "delivered": 0, "refused": 0})
    there = {entry.file_name: entry for entry in Entry.objects.all()}
    assert {name: _content(entry) for name, entry in there.items()} == sent
    one, other = there[first.file_name], there[second.file_name]
    assert all(entry.hold and entry.due_at is None and "Imported" in entry.hold_reason for entry in (one, other))
    for name, value in {
        "sender": "ann@example.org",
        "attempts": 3,
        "created": old,
        "priority": Priority.HIGH,
        "auth_user": "ann@here.test",
        "client_ip": "192.0.2.1",
        "ehlo_name": "pc",
        "envid": "a+2Bb",
        "ret": "HDRS",
        "delay_notified": True,
        "tls": "TLSv1.3",
        "port": 587,
        "origin": Origin.COMMAND,
        "recipients_total": 2,
    }.items():
        assert getattr(one, name) == value, name
    assert other.sender == ""
    assert list(one.recipients.order_by("id").values_list("address", "status", "notify", "orcpt", "original")) == [
        ("bob@x.test", "pending", "", "", ""),
        ("dora@y.test", "pending", "FAILURE", "rfc822;d@y.test", "d@here.test"),
    ]
    assert AuditEvent.objects.get(action="import").done == 2


def test_the_recipe_for_two_mailspools_works_as_it_stands(spool: Manage, spooled: Spooled, folder: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "moving.md").read_text()
    section = page.partition("### Between two Mailspools")[2].partition("\n### ")[0]
    commands = [line.split()[2:] for line in section.splitlines() if line.startswith("    mailspool spool ")]
    assert [command[0] for command in commands] == ["hold", "export", "import", "release"]
    commands = [[word.replace("/var/lib/mailspool/moving", str(folder)) for word in command] for command in commands]
    going, staying = spooled(), spooled(sender="x@else.test")
    for command in commands[:2]:
        assert spool(*command).status == 0
    assert {path.suffix for path in folder.iterdir()} == {".eml", ".json"}
    assert not (folder / staying.file_name).exists()
    _elsewhere()
    assert "1 taken" in spool(*commands[2]).out
    assert Entry.objects.get().due_at is None
    assert spool(*commands[3]).status == 0
    assert Entry.objects.get(file_name=going.file_name).due_at is not None


def test_a_hold_comes_along_and_what_has_none_is_due(spool: Manage, spooled: Spooled, folder: Path) -> None:
    held, free = spooled(hold=True, hold_reason="A look first", due_at=None), spooled()
    spool("export", "--format", "folder", "--output", str(folder), "--all")
    _elsewhere()
    assert spool("import", str(folder)).status == 0
    assert Entry.objects.get(file_name=held.file_name).hold_reason == "A look first"
    assert Entry.objects.get(file_name=free.file_name).due_at is not None


def test_an_export_is_a_copy_and_not_the_spools_own_file(spool: Manage, spooled: Spooled, folder: Path) -> None:
    entry = spooled()
    before = _content(entry)
    spool("export", "--format", "folder", "--output", str(folder), "--all")
    with (folder / entry.file_name).open("ab") as file:
        file.write(b"edited")
    assert _content(entry) == before
    refused = spool("export", "--format", "folder", "--output", str(folder), "--all")
    assert refused.status == 1
    assert "exists there already" in refused.out


def test_a_second_import_takes_nothing_twice_also_when_it_was_delivered_meanwhile(
    take: Callable[..., Ran], folder: Path
) -> None:
    for number in range(3):
        _put(folder, f"message {number}", {"sender": "a@b.test", "recipients": ["c@d.test"]})
    assert "3 taken" in take().out
    gone = Entry.objects.first()
    assert gone is not None
    Trace.objects.create(
        file_name=gone.file_name,
        sender="",
        recipient="c@d.test",
        outcome="delivered",
        created=gone.created,
        ended=timezone.now(),
        size_bytes=gone.size_bytes,
        attempts=1,
        kind="remote",
    )
    Recipient.objects.filter(entry=gone).delete()
    gone.delete()
    again = take()
    assert (again.status, again.out.splitlines()[-1]) == (0, "0 taken, 3 skipped, 0 refused.")
    assert "it was here, and has left" in again.out
    assert Entry.objects.count() == 2


def test_a_crash_in_the_middle_is_gone_on_from(
    take: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_folder, "BATCH", 2)
    for number in range(5):
        _put(folder, str(number), {"sender": "a@b.test", "recipients": ["c@d.test"]})
    real, calls = intake.accept, []

    def dies(submissions: Any) -> list[str]:
        names = real(submissions)
        calls.append(names)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return names

    monkeypatch.setattr(import_folder.intake, "accept", dies)
    with pytest.raises(KeyboardInterrupt):
        take("--move")
    monkeypatch.setattr(import_folder.intake, "accept", real)
    assert len(list(folder.iterdir())) == 6, "only what is known to be safe is removed"
    assert "1 taken, 2 skipped" in take("--move").out
    assert list(folder.iterdir()) == []
    assert Entry.objects.count() == 5


def test_a_dry_run_writes_nothing(take: Callable[..., Ran], folder: Path) -> None:
    _put(folder, "a", {"sender": "a@b.test", "recipients": ["c@d.test"]})
    assert "It would be: 1 taken" in take("--dry-run", "--move").out
    assert not Entry.objects.exists()
    assert not AuditEvent.objects.exists()
    assert len(list(folder.iterdir())) == 2


def test_fields_of_the_header_are_an_envelope_and_are_not_sent(take: Callable[..., Ran], folder: Path) -> None:
    (folder / "x.eml").write_bytes(
        b"X-Sender: <a@b.test>\nX-Receiver: c@d.test\nX-Receiver: e@f.test\nTo: everybody@d.test\nBcc: g@h.test\n\nHi\n"
    )
    assert "1 taken" in take().out
    entry = Entry.objects.get()
    assert (entry.sender, entry.recipients.count()) == ("a@b.test", 2)
    content = _content(entry)
    assert b"X-Receiver" not in content
    assert b"g@h.test" not in content
    assert b"with local (import)" in content
    assert content.endswith(b"\r\n\r\nHi\r\n")
    assert "1 skipped" in take().out


@pytest.mark.parametrize(
    ("name", "content", "envelope", "reason"),
    [
        ("x.eml", CONTENT, None, "neither x.json nor X-Sender and X-Receiver fields"),
        ("x.eml", CONTENT, "[", "is not the JSON of an envelope"),
        ("x.eml", CONTENT, {"format": "other-1"}, "is not the envelope of a message"),
        ("x.eml", CONTENT, {"sender": "a@b.test"}, "recipients is missing"),
        ("x.eml", CONTENT, {"recipients": ["a@b.test"]}, "sender is missing"),
        ("x.eml", CONTENT, {"sender": "nobody", "recipients": ["a@b.test"]}, "needs a local part"),
        ("x.eml", CONTENT, {"sender": "a\ud800@b.test", "recipients": ["a@b.test"]}, "not a text of letters"),
        ("x.eml", CONTENT, {"sender": "", "recipients": ["a\ud800@b.test"]}, "is no address"),
        ("x.eml", CONTENT, {"sender": "", "recipients": [1]}, "not a whole envelope"),
        ("x.eml", CONTENT, {"sender": "", "recipients": "a@b.test"}, "its recipients are not a list"),
        ("x.eml", CONTENT, {"sender": "", "recipients": ["a@b.test", "no@here.test"]}, "no such mailbox here"),
        ("x.eml", CONTENT, {"sender": "", "recipients": ["a@b.test"], "priority": 9}, "not a whole envelope"),
        ("x.eml", CONTENT, {"sender": "", "recipients": ["a@b.test"], "created": "soon"}, "not a whole envelope"),
        ("x.eml", CONTENT, {"sender": "", "recipients": ["a@b.test"], "created": "0001-01-01T00:00+14:00"}, "not a"),
        ("x.eml", CONTENT, {"sender": "", "recipients": ["a@b.test"], "attempts": 1e400}, "not a whole envelope"),
        ("x.eml", b"", {"sender": "", "recipients": ["a@b.test"]}, "it is empty"),
        ("x.eml", b"a\0b", {"sender": "", "recipients": ["a@b.test"]}, "NUL bytes"),
        ("x.postcat", b"postcat: fatal: open queue file", None, "does not begin as the output of postcat"),
        ("x.postcat", POSTCAT[:-60], None, "a part of postcat's output is missing"),
        ("x.postcat", POSTCAT + POSTCAT.replace(b"D6A", b"D6B"), None, "each must be a file of its own"),
        ("x.postcat", POSTCAT.replace(b"sender: ann@a.test", b"sender: ann"), None, "its envelope can't be read"),
        ("x.postcat", POSTCAT.replace(b"message_arrival_time: Sun", b"message_arrival_time: x"), None, "can't be read"),
        ("x.postcat", POSTCAT.replace(b"recipient: b@b.test", b"recipient: b\xff@b.test"), None, "is no address"),
    ],
)
def test_what_can_not_be_taken_is_refused_with_the_reason_and_stops_no_other(
    take: Callable[..., Ran], folder: Path, name: str, content: bytes, envelope: Any, reason: str
) -> None:
    accounts.add_domain("here.test")
    (folder / name).write_bytes(content)
    if envelope is not None:
        (folder / "x.json").write_text(envelope if isinstance(envelope, str) else json.dumps(envelope))
    _put(folder, "z", {"sender": "a@b.test", "recipients": ["c@d.test"]})
    ran = take("--move")
    assert ran.status == 1
    assert reason in ran.out
    assert "1 taken, 0 skipped, 1 refused." in ran.out
    assert (folder / name).exists()
    assert Entry.objects.count() == 1


def test_a_message_whose_recipients_all_have_it_is_left_alone(take: Callable[..., Ran], folder: Path) -> None:
    _put(folder, "a", {"sender": "", "recipients": [{"address": "a@b.test", "status": "delivered"}]})
    assert "nobody waits for it any more" in take().out
    assert not Entry.objects.exists()


def test_a_link_or_a_pipe_is_not_read(take: Callable[..., Ran], folder: Path) -> None:
    (folder / "a.eml").symlink_to("/etc/passwd")
    os.mkfifo(folder / "b.eml")
    ran = take()
    assert "0 taken, 0 skipped, 2 refused" in ran.out


def test_lines_with_lf_alone_get_crlf(take: Callable[..., Ran], folder: Path) -> None:
    _put(folder, "a", {"sender": "", "recipients": ["a@b.test"]}, b"Subject: x\n\na\r\nb\rc\n")
    take()
    assert _content(Entry.objects.get()) == b"Subject: x\r\n\r\na\r\nb\r\nc\r\n"


def test_two_imports_do_not_take_from_one_folder(admin: Actor, folder: Path) -> None:
    _put(folder, "a", {"sender": "", "recipients": ["a@b.test"]})
    first = import_folder.import_folder(folder, admin)
    next(first)
    with pytest.raises(import_folder.Refused, match="Another import"):
        list(import_folder.import_folder(folder, admin))
    first.close()


def test_a_folder_without_messages_is_a_sentence(take: Callable[..., Ran], spool: Manage, folder: Path) -> None:
    assert (take().status, take().err.strip()) == (1, "There are no messages in that folder.")
    assert "No such file or directory" in spool("import", "/nowhere").err


def test_a_batch_that_fails_is_tried_one_by_one(
    take: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        _put(folder, str(number), {"sender": "", "recipients": [f"a{number}@b.test"]})
    real = intake.accept

    def fails(submissions: Any) -> list[str]:
        if any(one.envelope.recipients[0].address == "a1@b.test" for one in submissions):
            raise intake.IntakeUnavailable
        return real(submissions)

    monkeypatch.setattr(import_folder.intake, "accept", fails)
    assert "1.eml: refused (it could not be stored" in take().out
    assert Entry.objects.count() == 2


def test_a_full_disk_stops_the_import_with_a_sentence(
    take: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(folder, "a", {"sender": "", "recipients": ["a@b.test"]})

    def full(submissions: Any) -> list[str]:
        raise intake.SpoolFull

    monkeypatch.setattr(import_folder.intake, "accept", full)
    ran = take("--move")
    assert (ran.status, ran.err.strip()[:33]) == (1, "The disk of the spool is full. Ma")
    assert len(list(folder.iterdir())) == 2


def test_queries_do_not_grow_with_messages(
    take: Callable[..., Ran], folder: Path, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        _put(folder, str(number), {"sender": "", "recipients": [f"a{number}@b.test", f"c{number}@d.test"]})
    with django_assert_max_num_queries(30):
        assert "60 taken" in take("--quiet").out


class TestPostcat:
    def test_envelope_and_content_are_read(self, take: Callable[..., Ran], folder: Path) -> None:
        (folder / "D6A292200F9.postcat").write_bytes(POSTCAT)
        assert "1 taken" in take().out
        entry = Entry.objects.get()
        assert (entry.sender, entry.envid, entry.ret, entry.eight_bit) == ("ann@a.test", "abc+2B", "HDRS", True)
        assert (entry.client_ip, entry.ehlo_name, entry.auth_user) == ("192.0.2.7", "client.test", "ann")
        assert entry.created.date() == datetime(2026, 11, 22, tzinfo=UTC).date()
        assert list(entry.recipients.order_by("id").values_list("address", "notify", "orcpt", "original")) == [
            ("b@b.test", "FAILURE,DELAY", "rfc822;b+2B1@b.test", "alias@b.test"),
            ("c@c.test", "", "", ""),
            ("late@c.test", "", "", ""),
        ]
        assert _content(entry).startswith(b"Subject: x\r\n\r\nrecipient: forged@evil.test\r\n*** HEADER EXTRACTED")
        assert _content(entry).endswith(b"\r\nlast line\r\n")

    def test_what_was_on_hold_there_is_on_hold_here(self, take: Callable[..., Ran], folder: Path) -> None:
        (folder / "a.postcat").write_bytes(POSTCAT.replace(b"deferred/D/", b"hold/"))
        take()
        assert Entry.objects.get().hold_reason == "On hold in Postfix"


@given(st.binary(max_size=300), st.integers(0, len(POSTCAT)))
@settings(max_examples=150)
def test_any_bytes_are_an_envelope_or_a_sentence(content: bytes, cut: int) -> None:
    for text in (content, POSTCAT[:cut] + content + POSTCAT[cut:]):
        try:
            postcat.read(text)
        except envelopes.Unreadable as error:
            assert str(error)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda some: (
            st.lists(some, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "sender",
                        "recipients",
                        "address",
                        "status",
                        "priority",
                        "created",
                        "attempts",
                        "port",
                        "envid",
                        "ret",
                        "notify",
                        "orcpt",
                    ]
                ),
                some,
            )
        ),
    )
)
@settings(max_examples=60)
def test_any_json_is_an_envelope_or_a_sentence(given_json: Any) -> None:
    for values in (given_json, {"sender": "", "recipients": [given_json], "created": given_json}):
        try:
            envelopes.read(values)
        except envelopes.Unreadable as error:
            assert str(error)
