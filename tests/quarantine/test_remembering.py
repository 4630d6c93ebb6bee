"""What was checked once is not checked again merely because it waits, unless an administrator asks for that."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from base.one_row import OneRow
from quarantine.holding import Quarantine
from quarantine.models import AntispamSettings, AntivirusSettings, CheckCount, CheckKind, Item, Scanned, WhenUnanswered
from quarantine.spam import result_cache
from spool.actions import Actor, perform
from spool.models import AuditEvent, Entry
from tests.console.conftest import administrator
from tests.quarantine import mail
from tests.quarantine.spamming import a_check, a_mail, from_outside
from tests.spool.passing import ANN, Spool
from tests.support.broken_server import BrokenServer
from tests.support.clamd import Clamd
from tests.support.ports import free_port
from tests.support.slow_server import SlowServer
from tests.support.smtp_peer import SmtpPeer
from tests.throttling.conftest import Throttled, throttled

__all__ = ["administrator", "throttled"]
pytestmark = pytest.mark.django_db(transaction=True)
Setting = Callable[..., None]
LATER = "451 4.2.0 come back later"


def scan_by(setting: Setting, address: str) -> None:
    """Outbound mail alone: our own notices about what waits are mail as well."""
    setting(AntivirusSettings, clamd_servers=address, scan_inbound=False)


def scans() -> int:
    return sum(CheckCount.objects.values_list("runs", flat=True))


def test_a_message_that_is_tried_again_and_again_is_scanned_once(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    scan_by(setting, clamd.address)
    spool.settings(delivery_delay_seconds=5)
    spool.peer.on["RCPT"] = LATER
    name = spool.take()
    for _ in range(4):
        spool.work()
        spool.later(hours=4)
    assert spool.entry(name).attempts >= 2 and scans() == 1
    spool.peer.on.clear()
    for _ in range(2):
        spool.work()
        spool.later(hours=4)
    assert len(spool.peer.taken) == 1 and scans() == 1


def test_a_message_that_waits_for_a_limit_is_scanned_once(throttled: Throttled, clamd: Clamd, setting: Setting) -> None:
    scan_by(setting, clamd.address)
    throttled.limit(messages_per_hour=1)
    throttled.send(3)
    throttled.spool.work()
    assert len(throttled.held()) == 2 and scans() == 3
    for _ in range(20):
        throttled.later(minutes=15)
        throttled.spool.work()
    assert not Entry.objects.exists() and scans() == 3


def test_a_message_that_nobody_could_scan_is_scanned_as_soon_as_somebody_can(
    spool: Spool, clamd: Clamd, setting: Setting
) -> None:
    setting(AntivirusSettings, clamd_servers="127.0.0.1:1", unanswered=WhenUnanswered.PASS)
    spool.peer.on["RCPT"] = LATER
    spool.take(content=mail.plain())
    spool.work()
    assert not Scanned.objects.exists()
    scan_by(setting, clamd.address)
    spool.later(hours=4)
    spool.work()
    assert Item.objects.count() == 1 and not spool.peer.taken


def test_waiting_mail_is_scanned_again_when_an_administrator_asks_for_it(
    spool: Spool, clamd: Clamd, setting: Setting, administrator: Client
) -> None:
    spool.peer.on["RCPT"] = LATER
    with SlowServer(0.0, b"stream: OK\0") as old_signatures:
        scan_by(setting, old_signatures.address)
        spool.take(content=mail.plain())
        spool.work()
    assert Scanned.objects.count() == 1
    scan_by(setting, clamd.address)
    spool.later(hours=1)
    page = administrator.post("/admin/quarantine/antivirussettings/scan-again/", follow=True).content.decode()
    assert "1 waiting message is checked again when tried next." in page and "Check waiting mail again" in page
    assert AuditEvent.objects.get().action == "scan-again"
    OneRow.forget()
    spool.later(hours=3)
    spool.work()
    assert Item.objects.count() == 1 and not Entry.objects.exists()


def test_what_a_killed_worker_did_not_remember_is_scanned_again(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    scan_by(setting, clamd.address)
    spool.peer.on["RCPT"] = LATER
    name = spool.take()
    spool.work()
    # It has written down that the message waits, and dies.
    Scanned.objects.all().delete()
    spool.later(hours=4)
    spool.work()
    assert (spool.entry(name).attempts, scans(), Scanned.objects.count()) == (2, 2, 1)


def test_mail_that_comes_out_of_quarantine_is_looked_at_anew(
    spool: Spool, clamd: Clamd, setting: Setting, admin: Actor
) -> None:
    from quarantine.models import CheckKind

    scan_by(setting, clamd.address)
    spool.peer.on["RCPT"] = LATER
    spool.take(content=mail.CLEAN, sender=ANN)
    spool.work()
    a_check(CheckKind.HEADER, 60, where="Subject", pattern="Lunch", name="rule", outbound=True)
    spool.later(hours=4)
    spool.work()
    item = Item.objects.get()
    assert item.kind == "spam"
    perform("quarantine-resend", [item.id], admin)
    assert not Scanned.objects.exists()
    spool.peer.on.clear()
    spool.work()
    assert len(spool.peer.taken) == 1 and CheckCount.objects.get(name="clamd").runs == 2


def test_what_is_remembered_of_mail_that_has_left_is_forgotten(
    spool: Spool, clamd: Clamd, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_cache, "CHUNK", 2)
    scan_by(setting, clamd.address)
    spool.peer.on["RCPT"] = LATER
    names = [spool.take() for _ in range(5)]
    spool.work()
    assert Scanned.objects.count() == 5
    kept = spool.entry(names[2])
    Entry.objects.exclude(id=kept.id).delete()
    Quarantine().tidy(timezone.now())
    assert [row.entry_id for row in Scanned.objects.all()] == [kept.id]


def test_mail_that_goes_at_once_leaves_nothing_to_remember(spool: Spool, clamd: Clamd, setting: Setting) -> None:
    scan_by(setting, clamd.address)
    for _ in range(5):
        spool.take()
    spool.work()
    assert len(spool.peer.taken) == 5 and not Scanned.objects.exists()


SPAMD = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 5\r\nSpam: True ; 12.0 / 5.0\r\n\r\nRULE1"


def test_the_checks_for_spam_are_asked_once_and_what_they_said_is_added_at_last(spool: Spool) -> None:
    with BrokenServer(SPAMD) as spamd, SmtpPeer(lmtp=True) as store:
        a_check(CheckKind.SPAMD, 1, where=spamd.address, name="SpamAssassin")
        spool.settings(local_store="lmtp", lmtp_address=f"127.0.0.1:{store.port}")
        store.on["RCPT"] = LATER
        from_outside(spool, a_mail())
        for _ in range(3):
            spool.work()
            spool.later(hours=4)
        assert spamd.connections == 1 and CheckCount.objects.get().runs == 1
        store.on.clear()
        spool.work()
        [taken] = store.taken
    assert b"\r\nX-Spam-Score: 12\r\n" in taken.content and b"tests=SpamAssassin=12" in taken.content
    assert spamd.connections == 1


def test_waiting_mail_is_checked_for_spam_again_when_an_administrator_asks_for_it(
    spool: Spool, administrator: Client
) -> None:
    with BrokenServer(SPAMD) as spamd:
        a_check(CheckKind.SPAMD, 1, where=spamd.address, outbound=True)
        spool.peer.on["RCPT"] = LATER
        spool.take()
        spool.work()
        spool.later(hours=4)
        assert (
            "Check waiting mail again"
            in administrator.get("/admin/quarantine/antispamsettings/", follow=True).content.decode()
        )
        administrator.post("/admin/quarantine/antispamsettings/scan-again/")
        OneRow.forget()
        before = spamd.connections
        for _ in range(2):
            spool.work()
            spool.later(hours=4)
        assert spamd.connections == before + 1


def test_a_threshold_that_was_lowered_meanwhile_counts_for_what_was_found(spool: Spool, setting: Setting) -> None:
    a_check(CheckKind.HEADER, 12, where="Subject", pattern="Lunch", name="rule", outbound=True)
    spool.peer.on["RCPT"] = LATER
    spool.take(content=mail.CLEAN)
    spool.work()
    setting(AntispamSettings, outbound_threshold=10, low=5)
    spool.later(hours=4)
    spool.work()
    assert Item.objects.get().why == "12 points: rule 12" and CheckCount.objects.get().runs == 1


def test_a_check_that_did_not_answer_is_asked_again(spool: Spool) -> None:
    port = free_port()
    a_check(CheckKind.SPAMD, 1, where=f"127.0.0.1:{port}", outbound=True)
    spool.peer.on["RCPT"] = LATER
    spool.take(sender="")
    for _ in range(2):
        spool.work()
        spool.later(hours=4)
    assert CheckCount.objects.get().failures == 2 and not Scanned.objects.filter(kind="spam").exists()
