"""Dovecot as the mail store, by LMTP."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.interop.world import ANN, BOB, CLEO, LONG, Report, World, parsed
from tests.support.dovecot import Dovecot, is_installed
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not is_installed(), reason="needs Dovecot")


@pytest.fixture
def dovecot(mailspool: MailspoolUnderTest) -> Iterator[Dovecot]:
    """The mail store of all local users; cleo has no room, and one of our users it does not know."""
    server = Dovecot()
    for address in (ANN, BOB):
        server.add_user(address)
    server.add_user(CLEO, quota="1k")
    server.start()
    mailspool.settings(local_store="lmtp", lmtp_address=server.lmtp_address)
    yield server
    mailspool.settings(local_store="maildir", lmtp_address="")
    server.remove()


def _subjects(dovecot: Dovecot, address: str) -> list[str]:
    return [str(parsed(content)["Subject"]) for content in dovecot.messages(address)]


def test_local_mail_is_in_dovecot_and_can_be_read_over_imap(
    world: World, mailspool: MailspoolUnderTest, dovecot: Dovecot
) -> None:
    test_id = world.send("x@elsewhere.test", [ANN, BOB])
    for address in (ANN, BOB):
        wait_until(
            lambda to=address: _subjects(dovecot, to) == [f"Test {test_id}"], f"it is in {address}'s INBOX", LONG
        )  # type: ignore[misc]
    [content] = dovecot.messages(ANN)
    assert parsed(content)["Return-Path"] == "<x@elsewhere.test>"
    mailspool.wait_until_empty(LONG)
    assert world.in_maildir(ANN, test_id) == []


def test_each_recipient_has_the_answer_that_dovecot_gave_for_it(
    world: World, mailspool: MailspoolUnderTest, dovecot: Dovecot
) -> None:
    test_id = world.send(ANN, [BOB, "dora@here.test", CLEO])
    wait_until(lambda: f"Test {test_id}" in _subjects(dovecot, BOB), "bob has it", LONG)
    # Dovecot doesn't know dora: that comes back to ann. Over quota is for later or for good, as Dovecot says.
    wait_until(lambda: len(dovecot.messages(ANN)) >= 1, "ann has a report", LONG)
    reports = [Report.of(parsed(content)) for content in dovecot.messages(ANN)]
    assert "dora@here.test" in "".join(report.final_recipient for report in reports)


def test_mail_waits_while_dovecot_is_away(world: World, mailspool: MailspoolUnderTest, dovecot: Dovecot) -> None:
    dovecot.stop()
    test_id = world.send("x@elsewhere.test", ANN)
    world.wait_until_waiting(test_id)
    dovecot.start()
    time.sleep(1.1)  # the rest of a host that did not answer
    mailspool.run(
        "from django.utils.timezone import now; from spool.models import Entry;"
        " Entry.objects.update(due_at=now(), next_attempt=now())"
    )
    wait_until(lambda: f"Test {test_id}" in _subjects(dovecot, ANN), "it is in ann's INBOX", LONG)
