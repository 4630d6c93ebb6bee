"""Dovecot, with its own eyes on our Maildirs and as the store behind LMTP."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailspool.home import Home
from spool.delivery.local import maildir
from spool.delivery.local.plans import store_maildir
from spool.models.recipient import Outcome
from tests.spool.delivery_local.conftest import NOW, a_mailbox, an_entry
from tests.spool.delivery_remote.conftest import Deliver, deliver, dns, sending
from tests.support.dovecot import Dovecot, is_installed
from tests.support.messages import a_message

pytestmark = pytest.mark.skipif(not is_installed(), reason="needs dovecot-imapd and dovecot-lmtpd")
ANN = "ann@example.org"
# Fixtures of remote delivery, which speaks LMTP too.
__all__ = ["deliver", "dns", "sending"]


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    server = Dovecot()
    server.start()
    yield server
    server.remove()


def test_dovecot_reads_our_maildir_and_finds_the_messages_intact(home: Home, spooled: Path, dovecot: Dovecot) -> None:
    bodies = ["Small.\r\n", "Grüße\r\n" * 3, "x" * 900 + "\r\n", "A line\r\n" * 200_000]
    entries = [an_entry(spooled, content=a_message(ANN, body=body)) for body in bodies]
    store_maildir([(entry, [(entry.recipients[0], a_mailbox())]) for entry in entries], NOW)
    dovecot.adopt(ANN, maildir.folder_of(ANN))
    envelope = b"Return-Path: <bob@example.net>\r\nDelivered-To: ann@example.org\r\n"
    assert dovecot.messages(ANN) == [envelope + entry.read() for entry in entries]


def test_dovecot_agrees_with_the_sizes_in_our_file_names(home: Home, spooled: Path, dovecot: Dovecot) -> None:
    entry = an_entry(spooled, content=a_message(ANN, body="one\r\ntwo\nthree\r\r\nfour\r\n"))
    store_maildir([(entry, [(entry.recipients[0], a_mailbox())])], NOW)
    dovecot.adopt(ANN, maildir.folder_of(ANN))
    with dovecot.imap(ANN) as client:
        client.select("INBOX", readonly=True)
        answer = client.fetch("1", "(RFC822.SIZE)")[1][0]
        assert isinstance(answer, bytes)
        [whole] = dovecot.messages(ANN)
    size = re.search(rb"RFC822.SIZE (\d+)", answer)
    assert size is not None
    assert int(size[1]) == len(whole)
    assert "size larger than expected" not in dovecot.daemon.log_tail()


def test_a_message_is_not_stored_again_after_dovecot_has_shown_it(home: Home, spooled: Path, dovecot: Dovecot) -> None:
    entry = an_entry(spooled)
    store_maildir([(entry, [(entry.recipients[0], a_mailbox())])], NOW)
    folder = maildir.folder_of(ANN)
    dovecot.adopt(ANN, folder)
    with dovecot.imap(ANN) as client:
        client.select("INBOX")
    # What Dovecot has made of the Maildir goes back to where we deliver.
    folder.rename(folder.parent / "before")
    (dovecot.folder / "mail" / "example.org" / "ann" / "Maildir").rename(folder)
    store_maildir([(entry, [(entry.recipients[0], a_mailbox())])], NOW)
    dovecot.adopt(ANN, folder)
    assert len(dovecot.messages(ANN)) == 1


def test_the_lmtp_of_the_test_server_takes_refuses_and_defers(dovecot: Dovecot) -> None:
    dovecot.add_user("carl@example.org")
    dovecot.add_user("full@example.org", quota="1k")
    with smtplib.LMTP(str(dovecot.lmtp_socket)) as client:
        assert client.sendmail("bob@example.net", ["carl@example.org"], a_message("carl@example.org")) == {}
        with pytest.raises(smtplib.SMTPRecipientsRefused, match=r"5\.1\.1"):
            client.sendmail("bob@example.net", ["nobody@example.org"], a_message())
        with pytest.raises(smtplib.SMTPDataError, match=r"5\.2\.2"):
            client.sendmail("bob@example.net", ["full@example.org"], a_message(size=50_000))
    [message] = dovecot.messages("carl@example.org")
    assert message.endswith(b"Shall we meet at noon?\r\n")


def test_dovecot_answers_for_each_recipient_of_one_transaction(
    home: Home, spooled: Path, dovecot: Dovecot, deliver: Deliver
) -> None:
    dovecot.add_user("dora@example.org")
    dovecot.add_user("fay@example.org", quota="1k")
    to = ["dora@example.org", "nobody@example.org", "fay@example.org"]
    entry = an_entry(spooled, to, content=a_message(to, size=50_000))
    [told] = deliver(entry, lmtp=True, lmtp_address=str(dovecot.lmtp_socket))
    codes = {result.recipient.address: result.status_code for result in told.results}
    assert codes == {"dora@example.org": "2.0.0", "nobody@example.org": "5.1.1", "fay@example.org": "5.2.2"}
    assert told.of("dora@example.org").outcome is Outcome.DELIVERED
    [message] = dovecot.messages("dora@example.org")
    assert message.endswith(entry.read())


def test_large_and_dotted_messages_reach_dovecot_as_they_are(
    home: Home, spooled: Path, dovecot: Dovecot, deliver: Deliver
) -> None:
    dovecot.add_user("gil@example.org")
    bodies = [".\r\n..\r\n.x\r\n", "A line\r\n.dot\r\n" * 150_000]
    entries = [an_entry(spooled, "gil@example.org", content=a_message(body=body)) for body in bodies]
    told = deliver(*entries, lmtp=True, lmtp_address=str(dovecot.lmtp_socket), max_per_destination=1)
    assert [one.only.outcome for one in told] == [Outcome.DELIVERED] * 2
    stored = dovecot.messages("gil@example.org")
    assert [message.partition(b"\r\n\r\n")[2] for message in stored] == [body.encode() for body in bodies]
