"""Mail from door to door."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
import time

import pytest

from tests.interop.world import (
    ANN,
    BOB,
    CLEO,
    DEAD_DOMAIN,
    DORA,
    LOCAL_DOMAIN,
    LONG,
    SINK_DOMAIN,
    Report,
    World,
    new_test_id,
)
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.messages import a_message


def _swaks(mailspool: MailspoolUnderTest, port: int, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{port}", "--helo", "client.test", *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_swaks_to_a_local_user_is_in_the_maildir_within_two_seconds(
    world: World, mailspool: MailspoolUnderTest
) -> None:
    # The best of a few: what else this machine does is not what is measured.
    waits = []
    for _ in range(5):
        test_id = new_test_id()
        done = _swaks(
            mailspool,
            mailspool.smtp_port,
            "--from",
            "x@elsewhere.test",
            "--to",
            ANN,
            "--header",
            f"X-Test-Id: {test_id}",
        )
        sent = time.monotonic()
        assert done.returncode == 0, done.stdout
        message = world.wait_for_mail(ANN, test_id)
        waits.append(time.monotonic() - sent)
        if waits[-1] <= 2.0:
            break
    assert min(waits) <= 2.0, waits
    assert message["Return-Path"] == "<x@elsewhere.test>"
    assert message["Delivered-To"] == ANN
    assert "by mail.test" in message["Received"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_login_under_starttls_sends_anywhere(world: World, mailspool: MailspoolUnderTest, mechanism: str) -> None:
    test_id = new_test_id()
    to = f"dan@{SINK_DOMAIN}"
    with mailspool.smtp(mailspool.submission_port) as client:
        client.starttls(context=ssl._create_unverified_context())
        client.ehlo()
        client.user, client.password = ANN, PASSWORD  # type: ignore[attr-defined]
        client.auth(mechanism, client.auth_plain if mechanism == "PLAIN" else client.auth_login)
        client.sendmail(ANN, [to], a_message(to, ANN, test_id=test_id))
    assert world.wait_for_receipt(test_id).recipients == (to,)


def test_a_login_over_implicit_tls_sends_anywhere(world: World, mailspool: MailspoolUnderTest) -> None:
    test_id = new_test_id()
    context = ssl._create_unverified_context()
    to = f"dan@{SINK_DOMAIN}"
    with smtplib.SMTP_SSL("127.0.0.1", mailspool.smtps_port, context=context, timeout=20) as client:
        client.login(BOB, PASSWORD)
        client.sendmail(BOB, [to], a_message(to, BOB, test_id=test_id))
    assert world.wait_for_receipt(test_id).sender == BOB


def test_mail_for_a_remote_domain_goes_to_the_host_that_its_mx_names(
    world: World, mailspool: MailspoolUnderTest
) -> None:
    test_id = world.send(ANN, f"dan@{SINK_DOMAIN}")
    receipt = world.wait_for_receipt(test_id)
    assert (receipt.sender, receipt.recipients) == (ANN, (f"dan@{SINK_DOMAIN}",))
    mailspool.wait_until_empty(LONG)
    [(outcome, host)] = mailspool.rows(f"SELECT outcome, host FROM spool_trace WHERE subject = 'Test {test_id}'")
    assert (outcome, host) == ("delivered", f"mx.{SINK_DOMAIN}")
    assert mailspool.message_files() == []


def test_a_message_arrives_byte_for_byte_under_its_received_header(world: World, mailspool: MailspoolUnderTest) -> None:
    test_id = new_test_id()
    to = f"dan@{SINK_DOMAIN}"
    body = ".\r\n..two dots\r\n\r\nlatin-1: \u00e4\u00f6 \r\n" + "x" * 990 + "\r\n.end"
    sent = a_message(to, ANN, body=body, test_id=test_id)
    mailspool.send(ANN, to, sent, mail_options=("BODY=8BITMIME",))
    world.wait_for_receipt(test_id)
    [arrived] = world.sink.kept(test_id)
    assert arrived.endswith(sent + b"\r\n")
    assert arrived[: -len(sent) - 2].startswith(b"Received: from client.test")


def test_a_message_for_many_is_sent_once_to_each_host(world: World, mailspool: MailspoolUnderTest) -> None:
    recipients = [f"user{number}@{SINK_DOMAIN}" for number in range(50)]
    test_id = world.send(ANN, [*recipients, BOB])
    world.wait_for_mail(BOB, test_id)
    mailspool.wait_until_empty(LONG)
    [receipt] = world.receipts(test_id)
    assert sorted(receipt.recipients) == sorted(recipients)


def test_a_dead_host_leaves_the_message_waiting_with_its_next_attempt(
    world: World, mailspool: MailspoolUnderTest
) -> None:
    before = time.time()
    test_id = world.send(ANN, f"dan@{DEAD_DOMAIN}")
    world.wait_until_waiting(test_id)
    status, attempts, last_error = world.entry(test_id)
    assert (status, attempts) == ("waiting", 1)
    assert f"mx.{DEAD_DOMAIN} [127.0.0.99]" in last_error
    listed = mailspool.run(
        f"from spool.models import Entry; print((Entry.objects.get(subject='Test {test_id}').next_attempt).timestamp())"
    )
    # The first of the default intervals, 15 minutes.
    assert 890 <= float(listed) - before <= 920


def test_one_dead_host_does_not_hold_up_mail_for_another(world: World, mailspool: MailspoolUnderTest) -> None:
    test_id = world.send(ANN, [f"dan@{DEAD_DOMAIN}", f"eve@{SINK_DOMAIN}", BOB])
    world.wait_for_receipt(test_id)
    world.wait_for_mail(BOB, test_id)
    world.wait_until_waiting(test_id)
    open_ones = mailspool.rows(
        "SELECT address FROM spool_recipient r JOIN spool_entry e ON e.id = r.entry_id"
        f" WHERE e.subject = 'Test {test_id}' AND r.status = 'pending'"
    )
    assert open_ones == [(f"dan@{DEAD_DOMAIN}",)]


def test_a_host_without_an_address_in_dns_bounces_when_the_name_does_not_exist(
    world: World, mailspool: MailspoolUnderTest
) -> None:
    test_id = world.send(ANN, "dan@does-not-exist.test")
    report = Report.of(world.wait_for_mail(ANN, test_id))
    assert (report.action, report.status) == ("failed", "5.1.2")


def test_a_domain_that_takes_no_mail_bounces_at_once(world: World, mailspool: MailspoolUnderTest) -> None:
    world.dns.add("nomail.test", "MX", "0 .")
    test_id = world.send(ANN, "dan@nomail.test")
    report = Report.of(world.wait_for_mail(ANN, test_id))
    assert (report.action, report.status) == ("failed", "5.1.10")


def test_a_domain_whose_mx_is_an_alias_is_delivered(world: World, mailspool: MailspoolUnderTest) -> None:
    world.dns.add("alias.test", "MX", "10 www.alias.test.")
    world.dns.add("www.alias.test", "CNAME", f"mx.{SINK_DOMAIN}.")
    world.wait_for_receipt(world.send(ANN, "dan@alias.test"))


def test_a_domain_without_mx_is_delivered_to_its_address(world: World, mailspool: MailspoolUnderTest) -> None:
    world.dns.add("plain.test", "A", "127.0.0.1")
    world.wait_for_receipt(world.send(ANN, "dan@plain.test"))


def test_the_next_mx_is_tried_when_the_first_is_dead(world: World, mailspool: MailspoolUnderTest) -> None:
    world.dns.add("backup.test", "MX", f"10 mx.{DEAD_DOMAIN}.")
    world.dns.add("backup.test", "MX", f"20 mx.{SINK_DOMAIN}.")
    world.wait_for_receipt(world.send(ANN, "dan@backup.test"))


def test_a_dns_failure_leaves_the_message_waiting(world: World, mailspool: MailspoolUnderTest) -> None:
    world.dns.fail("broken.test", "SERVFAIL")
    test_id = world.send(ANN, "dan@broken.test")
    world.wait_until_waiting(test_id)


def test_a_recipient_refused_with_550_comes_back_as_a_report(world: World, mailspool: MailspoolUnderTest) -> None:
    test_id = world.send(ANN, f"550.dan@{SINK_DOMAIN}")
    report = Report.of(world.wait_for_mail(ANN, test_id))
    assert (report.action, report.status) == ("failed", "5.1.1")
    assert report.final_recipient == f"550.dan@{SINK_DOMAIN}"
    assert "is not wanted" in report.diagnostic
    mailspool.wait_until_empty(LONG)


def test_content_refused_with_554_comes_back_as_a_report(world: World, mailspool: MailspoolUnderTest) -> None:
    test_id = world.send(ANN, f"data-554.dan@{SINK_DOMAIN}")
    report = Report.of(world.wait_for_mail(ANN, test_id))
    assert (report.action, report.status) == ("failed", "5.7.1")


def test_a_refused_message_from_the_null_sender_makes_no_report(world: World, mailspool: MailspoolUnderTest) -> None:
    before = mailspool.count("spool_trace")
    test_id = new_test_id()
    to = f"550.dan@{SINK_DOMAIN}"
    mailspool.send("", to, a_message(to, "", test_id=test_id))
    mailspool.wait_until_empty(LONG)
    assert mailspool.count("spool_trace") == before + 1
    assert world.receipts(test_id) == []


def test_a_user_that_does_not_exist_is_refused_at_rcpt(mailspool: MailspoolUnderTest) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        mailspool.send("x@elsewhere.test", f"nobody@{LOCAL_DOMAIN}", a_message())
    assert refused.value.recipients[f"nobody@{LOCAL_DOMAIN}"][0] == 550


def test_a_list_reaches_every_member_with_its_own_reverse_path(world: World, mailspool: MailspoolUnderTest) -> None:
    mailspool.run(
        "from accounts.models import *\n"
        f"news = MailingList.objects.create(address='news@{LOCAL_DOMAIN}',"
        f" domain=Domain.objects.get(name='{LOCAL_DOMAIN}'), subject_prefix='[news]')\n"
        f"for member in ['{BOB}', '{CLEO}', 'dan@{SINK_DOMAIN}']:\n"
        "    ListMember.objects.create(mailing_list=news, address=member)\n"
    )
    time.sleep(1.1)  # what the directory may be out of date
    test_id = world.send(ANN, f"news@{LOCAL_DOMAIN}")
    for member in (BOB, CLEO):
        message = world.wait_for_mail(member, test_id)
        assert f"news.{LOCAL_DOMAIN}" in message["List-Id"]
        assert message["Subject"] == f"[news] Test {test_id}"
        assert message["From"] == ANN
    assert world.wait_for_receipt(test_id).sender == f"news-bounces@{LOCAL_DOMAIN}"


def test_a_user_that_forwards_keeps_a_copy_when_told_to(world: World, mailspool: MailspoolUnderTest) -> None:
    mailspool.run(
        f"from accounts.models import User; user = User.objects.get(email='{DORA}');"
        f" user.forward_to = 'dan@{SINK_DOMAIN}'; user.forward_keeps_copy = True; user.save()"
    )
    time.sleep(1.1)  # what the directory may be out of date
    test_id = world.send("x@elsewhere.test", DORA)
    assert world.wait_for_receipt(test_id).recipients == (f"dan@{SINK_DOMAIN}",)
    world.wait_for_mail(DORA, test_id)


def test_a_success_report_comes_when_it_was_asked_for(world: World, mailspool: MailspoolUnderTest) -> None:
    test_id = world.send(
        ANN, BOB, mail_options=("RET=HDRS", "ENVID=abc+2B1"), rcpt_options=("NOTIFY=SUCCESS", f"ORCPT=rfc822;{BOB}")
    )
    report = Report.of(world.wait_for_mail(ANN, test_id))
    assert (report.action, report.status) == ("delivered", "2.0.0")
    assert "Original-Envelope-Id: abc+1" in report.message.as_string()


def test_no_report_comes_when_none_was_wanted(world: World, mailspool: MailspoolUnderTest) -> None:
    test_id = world.send(ANN, f"550.dan@{SINK_DOMAIN}", rcpt_options=("NOTIFY=NEVER",))
    mailspool.wait_until_empty(LONG)
    time.sleep(0.5)
    assert world.in_maildir(ANN, test_id) == []
