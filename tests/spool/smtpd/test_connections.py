"""Connections of the listeners: seen and ended from outside, in every process, also in the middle of a message."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

from accounts.directory_cache import FRESH_SECONDS
from tests.spool.smtpd.conftest import ANN, BOB, an_installation
from tests.spool.smtpd.dialogue import Dialogue, stuffed, submission
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

X = "x@elsewhere.test"
_BEGIN = """
import json
from accounts import actions, connections
from accounts.actor import Actor
from accounts.models import *
actor = Actor.at_the_shell()
"""


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[MailspoolUnderTest]:
    """Two listeners that share the ports."""
    mailspool = an_installation(tmp_path_factory.mktemp("connections"), durable_postgres, "connections", listeners=2)
    mailspool.settings(max_message_kb=102_400)
    mailspool.redis.start()
    for daemon in mailspool.listeners:
        daemon.start(lambda daemon=daemon: daemon.has_printed("listening on"))  # type: ignore[misc]
    with mailspool.redis.client() as client:
        wait_until(lambda: client.pubsub_numsub("mailspool:connections")[0][1] == 2, "both listen to questions")
    yield mailspool
    mailspool.kill()


def listed(mailspool: MailspoolUnderTest) -> list[dict[str, Any]]:
    text = mailspool.run(
        f"{_BEGIN}\nprint(json.dumps([one.as_json() for one in connections.listing(actor).connections]))"
    )
    found: list[dict[str, Any]] = json.loads(text)
    return found


def drop(mailspool: MailspoolUnderTest, arguments: str) -> str:
    return mailspool.run(f"{_BEGIN}\nprint(connections.drop(actor, {arguments}).sentence)").strip()


def test_connections_of_both_listeners_are_listed(pair: MailspoolUnderTest) -> None:
    clients = [Dialogue(pair.smtp_port) for _ in range(12)]
    with submission(pair.submission_port, ANN, PASSWORD) as client:
        client.begin(ANN, BOB)
        assert client.content(b"Subject: One\r\n\r\n").code == 250
        found = listed(pair)
    assert [one["protocol"] for one in found].count("SMTP") == 12
    [hers] = [one for one in found if one["user"] == ANN]
    assert (hers["protocol"], hers["ip"], hers["messages"], hers["detail"]) == (
        "Submission",
        "127.0.0.1",
        1,
        "client.test",
    )
    assert hers["since"]
    for other in clients:
        other.socket.close()


def test_dropping_ends_sessions_in_every_process_and_leaves_others_alone(pair: MailspoolUnderTest) -> None:
    hers = [Dialogue(pair.submission_port) for _ in range(8)]
    for client in hers:
        client.starttls()
        assert client.login(ANN, PASSWORD).code == 235
    with submission(pair.submission_port, BOB, PASSWORD) as his:
        assert "8 SMTP" in drop(pair, f"user={ANN!r}")
        for client in hers:
            assert client.reply().status == "421 4.7.0"
            assert client.is_closed
        his.begin(BOB, ANN)
        assert his.content(b"Subject: Goes on\r\n\r\n").code == 250


@pytest.mark.parametrize("size", [10_000, 5_000_000], ids=["in memory", "on disk"])
def test_a_client_in_the_middle_of_data_is_cut_off_and_nothing_of_it_is_kept(
    pair: MailspoolUnderTest, size: int
) -> None:
    before, before_files = pair.count("spool_entry"), pair.message_files()
    with submission(pair.submission_port, ANN, PASSWORD) as client:
        client.begin(ANN, X)
        assert client.do("DATA").code == 354
        client.send(b"Subject: Spam\r\n\r\n" + b"Buy this now\r\n" * (size // 14))
        began = time.monotonic()
        assert "1 SMTP" in drop(pair, f"user={ANN!r}")
        assert client.reply().status == "421 4.7.0"
        with pytest.raises((OSError, EOFError)):
            for _ in range(50):
                client.send(b"More\r\n" * 1000)
                time.sleep(0.02)
        # Most of it is the start of the command.
        assert time.monotonic() - began < 30
    assert pair.count("spool_entry") == before
    wait_until(lambda: pair.message_files() == before_files, "no piece of it is left")


def test_a_disabled_user_is_out_within_a_second_and_still_gets_mail(pair: MailspoolUnderTest) -> None:
    with submission(pair.submission_port, BOB, PASSWORD) as client:
        seconds = pair.run(
            f"{_BEGIN}\nimport time\nbegan = time.monotonic()\n"
            f"done = actions.set_user_status(actor, User.objects.get(email={BOB!r}), Status.RECEIVING)\n"
            "print(time.monotonic() - began)"
        )
        assert float(seconds) < 1
        assert client.reply().status == "421 4.7.0"
        assert client.is_closed
    with Dialogue(pair.submission_port) as client:
        client.starttls()
        assert client.login(BOB, PASSWORD).status == "535 5.7.8"
    with Dialogue(pair.smtp_port) as client:
        client.begin(X, BOB)
        assert client.content(b"Subject: Still arrives\r\n\r\n").code == 250
    enable_bob(pair)
    with submission(pair.submission_port, BOB, PASSWORD):
        pass


def enable_bob(pair: MailspoolUnderTest) -> None:
    """For all that follows: each of the processes remembers for a second what it has read of an account."""
    pair.run(f"{_BEGIN}\nactions.set_user_status(actor, User.objects.get(email={BOB!r}), Status.ENABLED)")
    time.sleep(FRESH_SECONDS + 0.1)


def test_a_changed_password_ends_sessions_that_used_the_old_one(pair: MailspoolUnderTest) -> None:
    with submission(pair.submission_port, ANN, PASSWORD) as client:
        pair.run(f"{_BEGIN}\nactions.change_password(actor, User.objects.get(email={ANN!r}), 'a-quite-new-password')")
        assert client.reply().status == "421 4.7.0"
    with Dialogue(pair.submission_port) as client:
        client.starttls()
        assert client.login(ANN, PASSWORD).status == "535 5.7.8"
        assert client.login(ANN, "a-quite-new-password").code == 235
    pair.run(f"{_BEGIN}\nactions.change_password(actor, User.objects.get(email={ANN!r}), {PASSWORD!r})")


def test_all_from_an_address_are_dropped(pair: MailspoolUnderTest) -> None:
    with Dialogue(pair.smtp_port, source="127.0.0.7") as flood, Dialogue(pair.smtp_port) as other:
        flood.begin(X, ANN)
        assert "1 SMTP" in drop(pair, "ip='127.0.0.7'")
        assert flood.reply().code == 421
        other.begin(X, ANN)


def test_without_redis_a_disabled_user_is_out_in_seconds_all_the_same(pair: MailspoolUnderTest) -> None:
    with submission(pair.submission_port, BOB, PASSWORD) as client:
        pair.redis.kill()
        try:
            said = pair.run(
                f"{_BEGIN}\nuser = User.objects.get(email={BOB!r})\n"
                "print(actions.set_user_status(actor, user, Status.DISABLED).sentence)"
            )
            assert "Redis does not answer" in said
            client.socket.settimeout(5)
            assert client.reply().status == "421 4.7.0"
        finally:
            pair.redis.start()
    with pair.redis.client() as redis:
        wait_until(lambda: redis.pubsub_numsub("mailspool:connections")[0][1] == 2, "both listen again", 15)
    enable_bob(pair)


def test_logins_are_written_down_with_their_address(pair: MailspoolUnderTest) -> None:
    whose = f"(SELECT id FROM accounts_user WHERE email = '{BOB}')"
    query = f"SELECT protocol, ip, count FROM accounts_login WHERE user_id = {whose}"
    before = pair.rows(query)
    with submission(pair.submission_port, BOB, PASSWORD), submission(pair.submission_port, BOB, PASSWORD):
        pass
    count = before[0][2] if before else 0

    def counted() -> bool:
        # Those of tests before this one may only now be written down.
        found = pair.rows(query)
        return len(found) == 1 and found[0][:2] == ("SMTP", "127.0.0.1") and found[0][2] >= count + 2

    wait_until(counted, "both logins are counted", 30)


def test_a_message_that_is_being_committed_gets_its_answer_before_the_end(pair: MailspoolUnderTest) -> None:
    before = pair.count("spool_entry")
    with submission(pair.submission_port, ANN, PASSWORD) as client:
        client.begin(ANN, BOB)
        assert client.do("DATA").code == 354
        with locked(pair):
            client.send(stuffed(b"Subject: Whole\r\n\r\n" + b"Line\r\n" * 10))
            time.sleep(0.3)
            # Asked directly: the action itself would wait for the same lock to be written down.
            assert end(pair, ANN) == 1
            client.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                client.reply()
            client.socket.settimeout(30)
        assert client.reply().code == 250
        assert client.reply().code == 421
    assert pair.count("spool_entry") == before + 1


@contextmanager
def locked(mailspool: MailspoolUnderTest) -> Iterator[None]:
    """Nobody else can write to the spool inside."""
    if mailspool.database_url:
        with psycopg.connect(mailspool.database_url.replace("postgres://", "postgresql://", 1)) as connection:
            connection.execute("LOCK TABLE spool_entry IN EXCLUSIVE MODE")
            yield
        return
    path = mailspool.home / "mailspool.sqlite3"
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def end(mailspool: MailspoolUnderTest, user: str) -> int:
    """What the listeners answer to the question itself."""
    match = {"users": [user], "domain": "", "ip": "", "id": ""}
    question = {"verb": "end", "match": match, "answer_to": "answers", "text": "421 4.7.0 Gone"}
    with mailspool.redis.client() as redis:
        heard = redis.publish("mailspool:connections", json.dumps(question))
        answers = [redis.blpop(["answers"], timeout=5) for _ in range(heard)]
    return sum(json.loads(answer[1])["ended"] for answer in answers)
