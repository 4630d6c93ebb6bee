"""What the log says of sessions and logins, from a whole installation that runs."""

from __future__ import annotations

import re
import smtplib
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

import pytest

from tests.spool.events.conftest import ANN, PASSWORD, Logged


def test_a_refusal_has_its_reply_and_what_it_was_about(logged: Logged) -> None:
    with logged.mailspool.smtp(local_hostname="refused-1.test") as client:
        client.mail("eve@elsewhere.test")
        client.rcpt("nobody@here.test")
    refused = logged.log.wait_for(event="refused", ehlo="refused-1.test")
    assert (refused["verb"], refused["from"], refused["to"]) == ("RCPT", "eve@elsewhere.test", "nobody@here.test")
    assert refused["reply"].startswith("550 5.1.1 ")
    assert refused["id"] == "-"
    last = logged.log.wait_for(event="disconnect", session=refused["session"])
    assert (last["messages"], last["refused"]) == ("0", "1")


def test_what_a_client_types_in_the_wrong_place_is_not_logged(logged: Logged) -> None:
    with logged.mailspool.smtp(local_hostname="secret-1.test") as client:
        client.docmd("AUTH", "PLAIN AGFubgBzZWNyZXQtd29yZA==")
        client.docmd("AGFubgBzZWNyZXQtd29yZA==")
    logged.log.wait_for(event="refused", ehlo="secret-1.test", verb="AUTH")
    wait = logged.log.wait_for(event="disconnect", refused=2)
    assert wait["how"] == "quit"
    assert "secret-word" not in logged.log.path.read_text()
    assert "AGFubgBzZWNyZXQtd29yZA" not in logged.log.path.read_text()


def test_refusals_without_end_are_counted_and_not_written(logged: Logged) -> None:
    logged.mailspool.settings(max_recipients=100)
    with logged.mailspool.smtp(local_hostname="many.test") as client:
        client.mail("eve@elsewhere.test")
        # What is too much is not the client's fault, so it may go on.
        codes = [client.rcpt(f"user-{number}@sink.test")[0] for number in range(160)]
    assert codes == [250] * 100 + [452] * 60
    last = logged.log.wait_for(event="disconnect", refused=60)
    assert len(logged.log.events(event="refused", session=last["session"])) == 50


def test_a_session_that_breaks_off_says_how_and_one_that_went_well_says_nothing(logged: Logged) -> None:
    queue_id = logged.send("eve@elsewhere.test", ANN)
    session = logged.log.wait_for(id=queue_id, event="accepted")["session"]
    client = logged.mailspool.smtp()
    client.mail("broken@elsewhere.test")
    client.rcpt("nobody@here.test")
    client.close()
    broken = logged.log.wait_for(event="refused", from_="broken@elsewhere.test")["session"]
    assert logged.log.wait_for(event="disconnect", session=broken)["how"] == "left"
    assert not logged.log.events(event="disconnect", session=session)


def test_logins_by_smtp_are_logged(logged: Logged) -> None:
    with logged.submission() as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(ANN, "wrong-horse")
        client.login(ANN, PASSWORD)
    ok = logged.log.wait_for(event="login", result="ok", protocol="smtp", login=ANN)
    failed = logged.log.events(event="login", result="failed", session=ok["session"])
    # smtplib tries PLAIN, then LOGIN.
    assert [(one["client"], one["login"]) for one in failed] == [("127.0.0.1", ANN)] * 2
    assert ok["port"] == str(logged.mailspool.submission_port)
    assert "wrong-horse" not in logged.log.path.read_text()


def test_a_login_that_is_closed_says_so(logged: Logged) -> None:
    logged.mailspool.run(
        "from datetime import timedelta\nfrom django.utils import timezone\n"
        "from security.models import BlockReason, LoginBlock\nnow = timezone.now()\n"
        "LoginBlock.objects.create(reason=BlockReason.PAIR, ip='127.0.0.1', account='closed@here.test', failures=9,\n"
        "    protocol='smtp', since=now, until=now + timedelta(hours=1), times=1)"
    )
    with logged.submission() as client, pytest.raises(smtplib.SMTPException):
        client.login("closed@here.test", "any-horse")
    assert logged.log.wait_for(event="login", login="closed@here.test")["result"] == "closed"


def test_a_message_says_who_was_logged_in_and_how_it_was_encrypted(logged: Logged) -> None:
    with logged.submission() as client:
        client.login(ANN, PASSWORD)
        client.sendmail(ANN, ["someone@sink.test"], b"Subject: With a login\r\n\r\nHello\r\n")
    accepted = logged.log.wait_for(event="accepted", login=ANN, from_=ANN)
    assert accepted["tls"].startswith("TLSv1.3 ")


def test_logins_by_web_are_logged_in_the_same_words(logged: Logged) -> None:
    url = f"http://127.0.0.1:{logged.mailspool.web_port}/me/login/"
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    for password in ("wrong-horse", PASSWORD):
        page = opener.open(url, timeout=30).read().decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None
        form = {"csrfmiddlewaretoken": token[1], "username": "bob@here.test", "password": password}
        opener.open(url, urllib.parse.urlencode(form).encode(), timeout=30).read()
    failed = logged.log.wait_for(event="login", protocol="web", result="failed", login="bob@here.test")
    assert (failed["id"], failed["client"]) == ("-", "127.0.0.1")
    logged.log.wait_for(event="login", protocol="web", result="ok", login="bob@here.test", client="127.0.0.1")
