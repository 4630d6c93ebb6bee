"""Postfix on either side of us."""

from __future__ import annotations

import re
import smtplib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.interop.world import ANN, BOB, LONG, SINK_DOMAIN, Report, World, new_test_id
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.ports import free_port
from tests.support.postfix import PostfixServer, can_run, tool
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not can_run(), reason="needs Postfix, and root to start it")

# A worker's table of routes may be a second old.
ROUTES_ARE_KEPT_SECONDS = 1.2

Make = Callable[[Mapping[str, str]], PostfixServer]


@pytest.fixture(scope="module")
def postfix_client(world: World) -> Iterator[PostfixServer]:
    """A Postfix whose smart host we are."""
    server = PostfixServer({"relayhost": f"[127.0.0.1]:{world.mailspool.smtp_port}"}, hostname="client.postfix.test")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def next_hop(mailspool: MailspoolUnderTest) -> Iterator[Make]:
    """Starts a Postfix with settings of its own, and routes postfix.test to it."""
    servers: list[PostfixServer] = []

    def start(settings: Mapping[str, str]) -> PostfixServer:
        server = PostfixServer(settings, hostname="mx.postfix.test")
        servers.append(server)
        server.start()
        mailspool.run(
            "from spool.models import Route; Route.objects.update_or_create(domain='postfix.test',"
            f" defaults={{'host': '127.0.0.1', 'port': {server.port}}})"
        )
        time.sleep(ROUTES_ARE_KEPT_SECONDS)
        return server

    yield start
    for server in servers:
        server.stop()
    mailspool.run("from spool.models import Route; Route.objects.all().delete()")


def test_postfix_relays_to_us_and_we_deliver(
    world: World, mailspool: MailspoolUnderTest, postfix_client: PostfixServer
) -> None:
    test_id = new_test_id()
    postfix_client.send("x@client.postfix.test", ANN, a_message(ANN, "x@client.postfix.test", test_id=test_id))
    message = world.wait_for_mail(ANN, test_id)
    received = message.get_all("Received") or []
    assert "client.postfix.test" in received[0]
    wait_until(lambda: postfix_client.queue_is_empty, "Postfix has nothing left", LONG)


def test_postfix_gets_our_refusal_and_returns_the_message_itself(
    world: World, mailspool: MailspoolUnderTest, postfix_client: PostfixServer
) -> None:
    test_id = new_test_id()
    postfix_client.send(ANN, "nobody@here.test", a_message("nobody@here.test", ANN, test_id=test_id))
    report = Report.of(world.wait_for_mail(ANN, test_id))
    assert (report.action, report.status) == ("failed", "5.1.1")


def test_postfix_encrypts_to_us_and_checks_our_certificate(world: World, mailspool: MailspoolUnderTest) -> None:
    trusted = mailspool.home / "keys" / "self-signed.pem"
    ours = tempfile.NamedTemporaryFile(suffix=".pem")  # noqa: SIM115
    with ours:
        # The certificate alone, where Postfix's own user can read it.
        ours.write(b"-----BEGIN CERT" + trusted.read_bytes().partition(b"-----BEGIN CERT")[2])
        ours.flush()
        Path(ours.name).chmod(0o644)
        postfix = PostfixServer(
            {
                "relayhost": f"[127.0.0.1]:{mailspool.smtp_port}",
                "smtp_tls_security_level": "secure",
                "smtp_tls_secure_cert_match": "mail.test",
                "smtp_tls_CAfile": ours.name,
                "smtp_tls_loglevel": "1",
            },
            hostname="client.postfix.test",
        )
        postfix.start()
        try:
            test_id = new_test_id()
            postfix.send("x@client.postfix.test", BOB, a_message(BOB, "x@client.postfix.test", test_id=test_id))
            message = world.wait_for_mail(BOB, test_id)
        finally:
            log = postfix.log_text()
            postfix.stop()
    assert "with ESMTPS id" in (message.get_all("Received") or [])[0]
    assert "Verified TLS connection" in log


def test_a_burst_through_postfix_arrives_complete(
    world: World, mailspool: MailspoolUnderTest, postfix_client: PostfixServer
) -> None:
    before = len(world.sink.receipts())
    subprocess.run(
        [
            tool("smtp-source"),
            "-s",
            "10",
            "-m",
            "300",
            "-l",
            "4096",
            "-f",
            "x@client.postfix.test",
            "-t",
            f"dan@{SINK_DOMAIN}",
            f"127.0.0.1:{postfix_client.port}",
        ],
        check=True,
        timeout=60,
    )
    wait_until(lambda: len(world.sink.receipts()) >= before + 300, "all 300 are at the sink", LONG, every=0.2)
    mailspool.wait_until_empty(LONG)
    assert len(world.sink.receipts()) == before + 300


def test_postfix_as_next_hop_takes_our_mail(world: World, mailspool: MailspoolUnderTest, next_hop: Make) -> None:
    postfix = next_hop({"transport_maps": "inline:{ {postfix.test=discard:} }", "smtpd_discard_ehlo_keywords": ""})
    test_id = world.send(ANN, [f"user{number}@postfix.test" for number in range(20)])
    mailspool.wait_until_empty(LONG)
    outcomes = mailspool.rows(f"SELECT outcome, count(*) FROM spool_trace WHERE subject = 'Test {test_id}' GROUP BY 1")
    assert outcomes == [("delivered", 20)]
    wait_until(lambda: postfix.log_text().count("relay=none") == 20, "Postfix logged 20 recipients", LONG)


def test_postfix_as_next_hop_refuses_a_recipient_and_the_sender_hears_of_it(
    world: World, mailspool: MailspoolUnderTest, next_hop: Make
) -> None:
    next_hop({"transport_maps": "inline:{ {postfix.test=error:5.7.1 no mail here} }"})
    test_id = world.send(ANN, "dan@postfix.test")
    report = Report.of(world.wait_for_mail(ANN, test_id))
    assert (report.action, report.status) == ("failed", "5.7.1")
    assert "no mail here" in report.diagnostic


def test_a_success_report_is_left_to_a_next_hop_that_knows_dsn(
    world: World, mailspool: MailspoolUnderTest, next_hop: Make
) -> None:
    postfix = next_hop(
        {
            "transport_maps": "inline:{ {postfix.test=discard:} }",
            "relayhost": f"[127.0.0.1]:{mailspool.smtp_port}",
        }
    )
    test_id = world.send(BOB, "dan@postfix.test", rcpt_options=("NOTIFY=SUCCESS",))
    message = world.wait_for_mail(BOB, test_id)
    # Postfix's own report: it came through us, and is about what Postfix did.
    assert "mx.postfix.test" in message["From"]
    assert postfix.queue_is_empty
    assert len(world.in_maildir(BOB, test_id)) == 1


def test_mail_is_encrypted_when_postfix_offers_it(world: World, mailspool: MailspoolUnderTest, next_hop: Make) -> None:
    certificate_and_key = str(mailspool.home / "keys" / "self-signed.pem")
    next_hop(
        {
            "transport_maps": "inline:{ {postfix.test=discard:} }",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": certificate_and_key,
            "smtpd_tls_key_file": certificate_and_key,
        }
    )
    test_id = world.send(ANN, "dan@postfix.test")
    mailspool.wait_until_empty(LONG)
    [(tls,)] = mailspool.rows(
        "SELECT a.tls FROM spool_attempt a JOIN spool_trace t ON t.file_name = a.file_name"
        f" WHERE t.subject = 'Test {test_id}'"
    )
    assert tls.startswith("TLSv1.3")
    assert "unverified" in tls
    mailspool.run("from spool.models import Route; Route.objects.update(tls='verify')")
    time.sleep(ROUTES_ARE_KEPT_SECONDS)
    refused = world.send(ANN, "dan@postfix.test")
    world.wait_until_waiting(refused)
    assert "certificate" in world.entry(refused)[2].lower()


def test_a_queue_of_postfix_is_taken_over_by_what_postcat_prints(
    world: World, mailspool: MailspoolUnderTest, tmp_path: Path
) -> None:
    """As docs/moving.md says: postcat each message into a folder, import it, and it is delivered byte for byte."""
    # Nobody listens there: all that it gets stays in its queue.
    postfix = PostfixServer({"relayhost": f"[127.0.0.1]:{free_port()}"}, hostname="old.postfix.test")
    postfix.start()
    try:
        first, second = new_test_id(), new_test_id()
        body = (
            b"\r\n.\r\n..\r\nFrom here\r\n"
            + b"long " * 2_000
            + b"\r\n*** MESSAGE CONTENTS x ***\r\n"
            + "ü\r\n".encode()
        )
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=20) as client:
            client.ehlo("pc.test")
            client.sendmail(
                ANN,
                [f"a@{SINK_DOMAIN}", f"b@{SINK_DOMAIN}", BOB],
                f"X-Test-Id: {first}\r\n".encode() + body,
                ["BODY=8BITMIME", "RET=HDRS", "ENVID=q+2B1"],
                ["NOTIFY=FAILURE"],
            )
        postfix.send("", f"c@{SINK_DOMAIN}", f"X-Test-Id: {second}\r\nSubject: Two\r\n\r\nno end".encode())
        wait_until(lambda: postfix.queue().count("Connection refused") == 2, "both are deferred", LONG)
        was: dict[str, bytes] = {}
        for queue_id in re.findall(r"^([0-9A-F]{8,})", postfix.queue(), re.MULTILINE):
            command = [tool("postcat"), "-c", str(postfix.config)]
            text = subprocess.run([*command, "-q", queue_id], check=True, capture_output=True).stdout
            (tmp_path / f"{queue_id}.postcat").write_bytes(text)
            content = subprocess.run([*command, "-qbh", queue_id], check=True, capture_output=True).stdout
            was[first if first.encode() in content else second] = content.replace(b"\n", b"\r\n")
    finally:
        postfix.stop()
    taken = mailspool.manage("spool", "import", str(tmp_path), "--move").stdout
    assert "2 taken, 0 skipped, 0 refused." in taken
    assert list(tmp_path.iterdir()) == []
    for test_id, recipients in ((first, [f"a@{SINK_DOMAIN}", f"b@{SINK_DOMAIN}"]), (second, [f"c@{SINK_DOMAIN}"])):
        receipt = world.wait_for_receipt(test_id)
        assert sorted(receipt.recipients) == recipients
        [kept] = world.sink.kept(test_id)
        assert kept.endswith(was[test_id])
    assert world.receipts(second)[0].sender == ""
    world.wait_for_mail(BOB, first)
