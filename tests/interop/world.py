"""What the tests of this folder have around them, and how they look at it."""

from __future__ import annotations

import email
import email.policy
import itertools
import re
from dataclasses import dataclass
from email.message import EmailMessage

from tests.support.dns import DNSServer
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.sink import CountingSink, Receipt
from tests.support.waiting import wait_until

LOCAL_DOMAIN = "here.test"
SINK_DOMAIN = "sink.test"
DEAD_DOMAIN = "dead.test"
ANN, BOB, CLEO, DORA = (f"{user}@{LOCAL_DOMAIN}" for user in ("ann", "bob", "cleo", "dora"))

# What is waited for comes in a fraction of a second; on a machine that is busy otherwise it may take this long.
LONG = 45.0

_numbers = itertools.count(1)


@dataclass(frozen=True)
class World:
    """A running installation, where its mail goes, and its DNS."""

    mailspool: MailspoolUnderTest
    sink: CountingSink
    dns: DNSServer

    def receipts(self, test_id: str) -> list[Receipt]:
        """What the sink took of one message."""
        return [receipt for receipt in self.sink.receipts() if receipt.test_id == test_id]

    def wait_for_receipt(self, test_id: str, seconds: float = LONG) -> Receipt:
        wait_until(lambda: self.receipts(test_id), f"the sink took {test_id}\n{self.mailspool.log_tails()}", seconds)
        return self.receipts(test_id)[0]

    def in_maildir(self, address: str, test_id: str) -> list[EmailMessage]:
        """The messages of a mailbox that carry the X-Test-Id, or that return one which did."""
        found = []
        for path in self.mailspool.maildir(address):
            content = path.read_bytes()
            if re.search(rf"(?m)^X-Test-Id: {re.escape(test_id)}\r?$".encode(), content):
                found.append(parsed(content))
        return found

    def wait_for_mail(self, address: str, test_id: str, seconds: float = LONG) -> EmailMessage:
        what = f"{test_id} is in {address}'s Maildir\n{self.mailspool.log_tails()}"
        wait_until(lambda: self.in_maildir(address, test_id), what, seconds)
        return self.in_maildir(address, test_id)[0]

    def send(self, sender: str, to: str | list[str], **options: tuple[str, ...]) -> str:
        """Send a new message; returns its X-Test-Id."""
        test_id = new_test_id()
        content = a_message(to, sender, subject=f"Test {test_id}", test_id=test_id)
        self.mailspool.send(sender, to, content, **options)  # type: ignore[arg-type]
        return test_id

    def entry(self, test_id: str) -> tuple[str, int, str]:
        """(status, attempts, last error) of a message in the spool. Raises IndexError when it has left."""
        query = f"SELECT status, attempts, last_error FROM spool_entry WHERE subject = 'Test {test_id}'"
        status, attempts, last_error = self.mailspool.rows(query)[0]
        return str(status), int(attempts), str(last_error)

    def wait_until_waiting(self, test_id: str, attempts: int = 1, seconds: float = LONG) -> None:
        """Return when the message has been tried and waits for its next attempt."""

        def waits() -> bool:
            query = f"SELECT status, attempts FROM spool_entry WHERE subject = 'Test {test_id}'"
            return any(status == "waiting" and tried >= attempts for status, tried in self.mailspool.rows(query))

        wait_until(waits, f"{test_id} waits for its next attempt\n{self.mailspool.log_tails()}", seconds)


def new_test_id() -> str:
    return f"interop-{next(_numbers)}"


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@dataclass(frozen=True)
class Report:
    """The machine-readable part of a delivery status notification, with one recipient's fields."""

    message: EmailMessage
    action: str
    status: str
    final_recipient: str
    diagnostic: str

    @classmethod
    def of(cls, message: EmailMessage) -> Report:
        """Take a DSN apart (RFC 3464). Fails the test when it isn't one."""
        assert message.get_content_type() == "multipart/report", message.as_string()[:2000]
        assert message["Auto-Submitted"] == "auto-replied"
        assert message["Return-Path"] == "<>"
        _, delivery_status, _ = message.iter_parts()
        fields = list(delivery_status.iter_parts())[1]  # type: ignore[attr-defined]
        return cls(
            message,
            fields["Action"],
            fields["Status"],
            fields["Final-Recipient"].partition(";")[2].strip(),
            fields.get("Diagnostic-Code", ""),
        )
