"""What the log says of messages, from a whole installation that runs."""

from __future__ import annotations

import re

import pytest

from tests.spool.events.conftest import ANN, BOB, Logged

DELAYS = r"\d+\.\d\d/\d+\.\d\d/\d+\.\d\d/\d+\.\d\d"


def test_a_message_is_followed_from_the_connection_to_its_end(logged: Logged) -> None:
    queue_id = logged.send(ANN, "someone@sink.test")
    ended = logged.log.wait_for(id=queue_id, event="ended")
    # Each process writes its own lines: the listener's may come a moment late.
    accepted = logged.log.wait_for(id=queue_id, event="accepted")
    [attempt] = logged.log.events(id=queue_id, event="attempt")
    [connect] = logged.log.events(session=accepted["session"], event="connect")
    port = str(logged.mailspool.smtp_port)
    assert connect == {
        "id": "-",
        "event": "connect",
        "session": accepted["session"],
        "client": "127.0.0.1",
        "port": port,
    }
    assert {name: accepted[name] for name in ("origin", "client", "ehlo", "from", "nrcpt")} == {
        "origin": "smtp",
        "client": "127.0.0.1",
        "ehlo": "client.test",
        "from": ANN,
        "nrcpt": "1",
    }
    assert int(accepted["size"]) > 200
    assert re.fullmatch(r"<\d+@example.org>", accepted["msgid"])
    assert (attempt["status"], attempt["to"], attempt["dsn"]) == ("delivered", "someone@sink.test", "2.0.0")
    assert re.fullmatch(r"mx\.sink\.test\[127\.0\.0\.1\]:\d+", attempt["relay"])
    assert attempt["reply"].startswith("250 ")
    assert re.fullmatch(DELAYS, attempt["delays"])
    assert float(attempt["delay"]) == pytest.approx(sum(map(float, attempt["delays"].split("/"))), abs=0.03)
    assert (ended["nrcpt"], ended["delivered"], ended["attempts"]) == ("1", "1", "1")


def test_each_recipient_has_a_line_of_its_own(logged: Logged) -> None:
    queue_id = logged.send(ANN, ["one@sink.test", "two@sink.test", BOB])
    ended = logged.log.wait_for(id=queue_id, event="ended")
    attempts = logged.log.events(id=queue_id, event="attempt")
    assert sorted(attempt["to"] for attempt in attempts) == [BOB, "one@sink.test", "two@sink.test"]
    assert next(attempt["relay"] for attempt in attempts if attempt["to"] == BOB) == "maildir"
    assert ended["delivered"] == "3"


def test_a_deferred_recipient_says_when_it_is_tried_again(logged: Logged) -> None:
    queue_id = logged.send(ANN, "someone@gone.test")
    attempt = logged.log.wait_for(id=queue_id, event="attempt")
    assert (attempt["status"], attempt["dsn"], attempt["to"]) == ("deferred", "4.4.1", "someone@gone.test")
    assert re.fullmatch(r"mx\.gone\.test\[127\.0\.0\.99\]:\d+", attempt["relay"])
    assert "connection refused" in attempt["reply"]
    assert attempt["next"] > attempt["next"][:11]
    assert attempt["delays"].endswith("/0.00"), "nothing was sent"
    assert not logged.log.events(id=queue_id, event="ended")


def test_a_bounce_names_the_notice_that_was_sent(logged: Logged) -> None:
    queue_id = logged.send(ANN, "someone@refusing.test")
    logged.log.wait_for(id=queue_id, event="ended")
    [attempt] = logged.log.events(id=queue_id, event="attempt")
    assert (attempt["status"], attempt["dsn"]) == ("bounced", "5.1.10")
    [notice] = logged.log.events(id=queue_id, event="notice")
    assert (notice["kind"], notice["to"]) == ("failed", ANN)
    accepted = logged.log.wait_for(id=notice["bounce"], event="accepted")
    assert (accepted["origin"], accepted["from"], accepted["parent"]) == ("dsn", "<>", queue_id)
    logged.log.wait_for(id=notice["bounce"], event="ended", delivered=1)
