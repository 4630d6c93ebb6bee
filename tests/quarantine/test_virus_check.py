"""The virus check with a real clamd: what is infected is never delivered, and nothing is lost while scanners fail."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from accounts import directory
from accounts.models import User
from quarantine.engines.clamd import Clamd as ClamdScanner
from quarantine.engines.cooldown import Cooldown
from quarantine.engines.scanner import all_scanners
from quarantine.models import AntivirusSettings, CheckCount, Item, WhenOversize, WhenUnanswered
from spool.actions import Actor, perform
from spool.flow import intake
from spool.models import Entry, Trace
from spool.models.recipient import Kind
from tests.quarantine import mail
from tests.spool.passing import ANN, FAR, HERE, Spool
from tests.support.broken_server import BrokenServer
from tests.support.clamd import EICAR, SIGNATURE, Clamd
from tests.support.messages import a_recipient, a_submission

pytestmark = pytest.mark.django_db(transaction=True)
Setting = Callable[..., None]


def test_without_a_scanner_nothing_is_asked_for(spool: Spool, django_assert_num_queries: object) -> None:
    from quarantine.stages import VirusCheck

    stage = VirusCheck()
    assert stage.prepare() is False
    # The settings are kept for a second; until then not even they are read.
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert stage.prepare() is False


@pytest.mark.parametrize(
    "content",
    [mail.plain, mail.attached, mail.zipped, lambda: mail.zipped(3), mail.forwarded, mail.odd_base64],
    ids=["plain", "attached", "zip", "zip in zip", "message/rfc822", "odd base64"],
)
def test_an_infected_message_ends_in_the_virus_quarantine(
    spool: Spool, clamd: Clamd, setting: Setting, content: Callable[[], bytes]
) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address)
    infected = spool.take(content=content())
    clean = spool.take(content=mail.CLEAN)
    spool.work()
    item = Item.objects.get()
    assert (item.file_name, item.kind, item.why) == (infected, "virus", f"{SIGNATURE} (clamd)")
    assert dict(Trace.objects.values_list("file_name", "outcome")) == {infected: "quarantined", clean: "delivered"}
    assert len(spool.peer.taken) == 1 and not Entry.objects.exists()


def test_inbound_mail_is_scanned_too_and_resend_delivers_it(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    setting(AntivirusSettings, clamd_servers=str(clamd.socket))
    spool.take_for_us(mail.attached(), sender="eve@far.test")
    spool.work()
    assert spool.mailbox() == []
    perform("quarantine-resend", [Item.objects.get().id], Actor.at_the_shell())
    spool.work()
    [message] = spool.mailbox()
    assert EICAR in [part.get_payload(decode=True) for part in message.walk()]
    assert not Item.objects.exists() and [trace.outcome for trace in Trace.objects.all()] == ["delivered"]


def test_one_direction_can_be_left_out(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address, scan_outbound=False)
    spool.take(content=mail.plain())
    spool.take_for_us(mail.plain(), sender="eve@far.test")
    spool.work()
    assert len(spool.peer.taken) == 1 and Item.objects.count() == 1


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_what_comes_in_and_leaves_is_scanned_when_either_is_chosen(
    spool: Spool, clamd: Clamd, setting: Setting, direction: str
) -> None:
    chosen = {f"scan_{one}": one == direction for one in ("inbound", "outbound")}
    setting(AntivirusSettings, clamd_servers=clamd.address, **chosen)
    submission = a_submission("eve@far.test", "bob@far.test", content=mail.plain())
    # An alias of ours that leads to somebody here and to somebody elsewhere.
    submission.envelope.recipients[0].original = f"sales@{HERE}"
    submission.envelope.recipients.append(a_recipient(ANN, Kind.LOCAL, original=f"sales@{HERE}"))
    intake.accept([submission])
    spool.work()
    assert Item.objects.get().recipients_total == 2 and not spool.peer.taken and not spool.mailbox()


def test_what_a_message_becomes_is_not_scanned_again(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address)
    User.objects.filter(email=ANN).update(forward_to="bob@far.test")
    directory.forget()
    spool.take_for_us(mail.CLEAN, sender="eve@far.test")
    spool.work()
    assert len(spool.peer.taken) == 1 and len(spool.mailbox()) == 1
    assert CheckCount.objects.get().runs == 1


def test_another_server_takes_over_when_one_is_down(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    setting(AntivirusSettings, clamd_servers=f"127.0.0.1:1\n{clamd.address}")
    for _ in range(3):
        spool.take(content=mail.plain())
    spool.work()
    assert Item.objects.count() == 3


def test_while_no_scanner_answers_mail_is_held_and_says_why(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address)
    clamd.daemon.kill()
    infected, clean = spool.take(content=mail.plain()), spool.take(content=mail.CLEAN)
    spool.work()
    entry = spool.entry(clean)
    assert (entry.status, entry.attempts, entry.failures) == ("virus", 0, 0)
    assert entry.last_error.startswith("No virus scanner answers: clamd 127.0.0.1:")
    assert spool.minutes_to_go(clean) == pytest.approx(1, abs=0.05)
    assert not spool.peer.taken and not Item.objects.exists()
    clamd.start()
    all_scanners()[0].rests.forget()  # type: ignore[attr-defined]
    spool.later(seconds=61)
    spool.work()
    assert [item.file_name for item in Item.objects.all()] == [infected]
    assert len(spool.peer.taken) == 1 and not Entry.objects.exists()


def test_who_sent_a_message_that_was_released_is_told_when_it_comes_back(
    spool: Spool, clamd: Clamd, setting: Setting
) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address)
    spool.peer.rcpt = {f"bob@{FAR}": "550 5.1.1 no such user"}
    spool.take(content=mail.attached())
    spool.work()
    perform("quarantine-resend", [Item.objects.get().id], Actor.at_the_shell())
    spool.work()
    assert not Item.objects.exists() and not Entry.objects.exists()
    [notice] = spool.mailbox()
    assert "no such user" in notice.as_string()
    assert [part.get_content_type() for part in notice.iter_parts()][2] == "text/rfc822-headers"


def test_force_has_a_scanner_asked_that_is_back(
    spool: Spool, clamd: Clamd, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address)
    scanner = all_scanners()[0]
    assert isinstance(scanner, ClamdScanner)
    monkeypatch.setattr(scanner, "rests", Cooldown(first_seconds=600))
    clamd.daemon.kill()
    forced, other = spool.take(content=mail.CLEAN), spool.take(content=mail.CLEAN)
    spool.work()
    clamd.start()
    spool.later(seconds=61)
    spool.work()
    assert {spool.entry(name).status for name in (forced, other)} == {"virus"}
    perform("force", [spool.entry(forced).id], Actor.at_the_shell())
    spool.work()
    assert len(spool.peer.taken) == 1
    assert [entry.file_name for entry in Entry.objects.all()] == [other]
    spool.later(seconds=120)
    spool.work()
    assert len(spool.peer.taken) == 2


def test_mail_passes_unscanned_when_that_is_the_choice(spool: Spool, setting: Setting) -> None:
    setting(AntivirusSettings, clamd_servers="127.0.0.1:1", unanswered=WhenUnanswered.PASS)
    spool.take(content=mail.plain())
    spool.work()
    assert len(spool.peer.taken) == 1 and not Item.objects.exists()


@pytest.mark.parametrize(
    "answer",
    [None, b"", b"garbage\0", b"stream: OK", b"x" * 100_000, b"INSTREAM size limit exceeded. ERROR\0"],
    ids=["hangs", "closes", "garbage", "cut off", "endless", "error"],
)
def test_a_server_that_makes_no_sense_counts_as_not_answering(
    spool: Spool, setting: Setting, answer: bytes | None
) -> None:
    with BrokenServer(answer) as server:
        setting(AntivirusSettings, clamd_servers=server.address, clamd_timeout_seconds=2)
        names = [spool.take(content=mail.plain()) for _ in range(12)]
        started = time.monotonic()
        spool.work()
        # All wait together for the one timeout, and nobody asks a server again that rests.
        assert time.monotonic() - started < 12
    assert [spool.entry(name).status for name in names] == ["virus"] * 12
    assert not spool.peer.taken and not Item.objects.exists()


def test_a_server_that_is_stopped_in_mid_scan_harms_nothing(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address, clamd_timeout_seconds=1)
    clamd.daemon.signal(signal.SIGSTOP)
    try:
        name = spool.take(content=mail.plain())
        spool.work()
    finally:
        clamd.daemon.signal(signal.SIGCONT)
    assert "no answer within 1 s" in spool.entry(name).last_error
    assert not spool.peer.taken


def test_messages_over_the_limit_are_passed_or_quarantined(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address, max_scan_kb=1)
    large = mail.CLEAN + b"x" * 70 + b"\r\n" + b"yy\r\n" * 500
    spool.take(content=large)
    spool.work()
    assert len(spool.peer.taken) == 1
    setting(AntivirusSettings, oversize=WhenOversize.QUARANTINE)
    spool.take(content=large)
    spool.work()
    assert Item.objects.get().why.startswith("too large to be scanned")


def test_a_second_scanner_by_command_line_finds_what_the_first_does_not(
    spool: Spool, clamd: Clamd, setting: Setting, tmp_path: Path
) -> None:
    program = tmp_path / "scan"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "found = b'pretend' in open(sys.argv[1], 'rb').read()\n"
        "print('Pretend.Virus' if found else 'clean')\nsys.exit(5 if found else 0)\n"
    )
    program.chmod(0o755)
    setting(AntivirusSettings, clamd_servers=clamd.address, command=f"{program} {{file}}", command_infected_status=5)
    spool.take(content=mail.CLEAN + b"pretend\r\n")
    spool.take(content=mail.CLEAN)
    spool.work()
    assert Item.objects.get().why == "Pretend.Virus (scan)" and len(spool.peer.taken) == 1
    assert [one["said"] for one in Item.objects.get().findings] == ["clean", "infected"]


def test_a_command_that_hangs_is_killed_with_its_children(spool: Spool, setting: Setting, tmp_path: Path) -> None:
    program = tmp_path / "hang"
    program.write_text(f"#!/bin/sh\nsleep 60 & echo $! > {tmp_path}/child\nsleep 60\n")
    program.chmod(0o755)
    setting(AntivirusSettings, command=f"{program} {{file}}", command_timeout_seconds=1)
    name = spool.take(content=mail.CLEAN)
    spool.work()
    assert "no answer within 1 s" in spool.entry(name).last_error
    child = int((tmp_path / "child").read_text())
    assert not Path(f"/proc/{child}/cmdline").exists() or Path(f"/proc/{child}/cmdline").read_bytes() == b""


@pytest.mark.parametrize("command", ["clamscan {file}", "/bin/true", "/nowhere/scan {file}", "/bin/true '{file}"])
def test_a_command_that_can_not_work_is_refused(db: None, command: str) -> None:
    row = AntivirusSettings.load()
    row.command = command
    with pytest.raises(ValidationError):
        row.full_clean()


def test_bombs_and_messages_of_many_parts_take_bounded_time(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address, max_scan_kb=60_000)
    spool.take(content=mail.zip_bomb())
    spool.take(content=mail.many_parts())
    started = time.monotonic()
    spool.work()
    assert time.monotonic() - started < 60
    assert len(spool.peer.taken) + Item.objects.count() == 2 and not Entry.objects.exists()


def test_what_the_scanners_did_is_counted_by_day(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    setting(AntivirusSettings, clamd_servers=clamd.address)
    spool.take(content=mail.plain())
    spool.take(content=mail.CLEAN)
    spool.work()
    [row] = CheckCount.objects.all()
    assert (row.name, row.runs, row.hits, row.failures) == ("clamd", 2, 1, 0) and row.average_ms > 0
