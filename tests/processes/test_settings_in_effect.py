"""Settings changed while everything runs: in effect in every process within a second, without a restart."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Iterator

import pytest

from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.sink import SmtpSink
from tests.support.waiting import wait_until

ANN = "ann@here.test"
SENDER = "bob@elsewhere.test"


@pytest.fixture(scope="module")
def mailspool(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[MailspoolUnderTest]:
    url = durable_postgres.create_database("settings") if durable_postgres else ""
    with MailspoolUnderTest(tmp_path_factory.mktemp("settings"), database_url=url) as running:
        running.add_domain("here.test", "ann")
        time.sleep(1.1)  # what the directory may be out of date
        yield running


def change(mailspool: MailspoolUnderTest, **values: object) -> None:
    """As somebody at the shell does, and the second that processes may take."""
    for name, value in values.items():
        mailspool.manage("settings", "set", name, str(value))
    time.sleep(1.1)


def replies(mailspool: MailspoolUnderTest, *recipients: str, size: int = 0) -> list[int]:
    """What a session is answered to MAIL with a size, and to each recipient."""
    with smtplib.SMTP("127.0.0.1", mailspool.smtp_port, timeout=20) as client:
        client.ehlo()
        codes = [client.mail(SENDER, [f"SIZE={size}"] if size else [])[0]]
        codes += [client.rcpt(recipient)[0] for recipient in recipients]
        client.rset()
    return codes


def test_the_size_limit(mailspool: MailspoolUnderTest) -> None:
    assert replies(mailspool, size=100_000) == [250]
    change(mailspool, max_message_kb=50)
    assert replies(mailspool, size=100_000) == [552]
    change(mailspool, max_message_kb=51_200)
    assert replies(mailspool, size=100_000) == [250]


def test_the_networks_that_relay_without_logging_in(mailspool: MailspoolUnderTest) -> None:
    assert replies(mailspool, "someone@far.test") == [250, 550]
    mailspool.settings(bypass_networks="127.0.0.0/8")
    assert replies(mailspool, "someone@far.test") == [250, 250]
    mailspool.settings(bypass_networks="")
    assert replies(mailspool, "someone@far.test") == [250, 550]


def test_the_delivery_delay(mailspool: MailspoolUnderTest) -> None:
    change(mailspool, delivery_delay_seconds=3)
    mailspool.send(SENDER, ANN, a_message(ANN, SENDER))
    taken = time.monotonic()
    time.sleep(1)
    assert mailspool.maildir(ANN) == []
    wait_until(lambda: mailspool.maildir(ANN), "it is delivered after the delay", 15)
    assert time.monotonic() - taken > 2.5
    change(mailspool, delivery_delay_seconds=60)
    change(mailspool, delivery_delay_seconds=0)
    mailspool.send(SENDER, ANN, a_message(ANN, SENDER))
    wait_until(lambda: len(mailspool.maildir(ANN)) == 2, "it is delivered at once", 20)


def test_the_local_store(mailspool: MailspoolUnderTest) -> None:
    before = len(mailspool.maildir(ANN))
    store = SmtpSink(mailspool.home / "lmtp", options=["-L"])
    store.start()
    try:
        change(mailspool, lmtp_address=f"127.0.0.1:{store.port}", local_store="lmtp")
        mailspool.send(SENDER, ANN, a_message(ANN, SENDER))
        wait_until(lambda: store.count == 1, "the mail store has it", 10)
        assert len(mailspool.maildir(ANN)) == before
    finally:
        change(mailspool, local_store="maildir")
        store.stop()
    mailspool.send(SENDER, ANN, a_message(ANN, SENDER))
    wait_until(lambda: len(mailspool.maildir(ANN)) == before + 1, "it is in the Maildir again", 10)


class TestSend:
    """`manage.py send`, to the running listener."""

    def send(self, mailspool: MailspoolUnderTest, *arguments: str) -> tuple[int, str, str]:
        done = mailspool.manage("send", "--from", SENDER, *arguments, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_a_message_is_taken_and_the_answers_shown(self, mailspool: MailspoolUnderTest) -> None:
        status, out, _ = self.send(mailspool, "--to", ANN, "--json")
        answers = json.loads(out)
        assert status == 0
        assert answers[ANN].startswith("250 ") and answers["message"].startswith("250 ")

    def test_one_recipient_refused_of_two_is_told_and_the_other_gets_it(self, mailspool: MailspoolUnderTest) -> None:
        status, out, _ = self.send(mailspool, "--to", ANN, "--to", "nobody@here.test")
        assert status == 1
        assert "nobody@here.test: 550 5.1.1" in out and "message: 250" in out

    @pytest.mark.parametrize(
        ("arguments", "status", "sentence"),
        [
            (["--to", ANN, "--port", "1"], 1, "No connection to 127.0.0.1:1"),
            (["--to", ANN, "--eml", "/nowhere.eml"], 1, "/nowhere.eml"),
            (["--to", ANN, "--user", ANN, "--password", "wrong"], 1, "535"),
            (["--port", "25"], 2, "--to"),
        ],
    )
    def test_what_goes_wrong_is_said(
        self, mailspool: MailspoolUnderTest, arguments: list[str], status: int, sentence: str
    ) -> None:
        done, _, err = self.send(mailspool, *arguments)
        assert done == status
        assert sentence in err
