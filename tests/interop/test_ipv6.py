"""Mail over IPv6, in and out."""

from __future__ import annotations

import smtplib
import ssl
import sys

from tests.interop.world import ANN, World, new_test_id
from tests.support.daemon import Daemon
from tests.support.mailspool_process import PASSWORD, PROJECT, MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.ports import is_listening
from tests.support.smtp_peer import SmtpPeer
from tests.support.waiting import wait_until


def test_mail_comes_and_goes_over_ipv6(world: World, mailspool: MailspoolUnderTest) -> None:
    world.dns.add("six.test", "MX", "10 mx.six.test.")
    world.dns.add("mx.six.test", "AAAA", "::1")
    peer = SmtpPeer("::1", world.sink.port)
    listener = Daemon(
        "smtpd-six",
        [sys.executable, "manage.py", "smtpd"],
        mailspool.logs / "smtpd-six.log",
        env={**mailspool.env, "MAILSPOOL_BIND": "::1"},
        cwd=PROJECT,
    )
    with peer:
        listener.start(lambda: is_listening(mailspool.smtp_port, "::1"))
        try:
            test_id = new_test_id()
            with smtplib.SMTP("::1", mailspool.smtp_port, "client.test", timeout=30) as client:
                client.sendmail("x@elsewhere.test", [ANN], a_message(to=ANN, test_id=test_id))
            assert "(IPv6:::1])" in world.wait_for_mail(ANN, test_id)["Received"].replace("[", "")

            with smtplib.SMTP("::1", mailspool.submission_port, "client.test", timeout=30) as client:
                client.starttls(context=ssl._create_unverified_context())
                client.login(ANN, PASSWORD)
                client.sendmail(ANN, ["friend@six.test"], a_message(to="friend@six.test", sender=ANN))
            wait_until(lambda: peer.taken, "the message went out", 20)
        finally:
            listener.stop()
    assert peer.taken[0].recipients == ("friend@six.test",)
    assert peer.conversations[0].client == "::1"
