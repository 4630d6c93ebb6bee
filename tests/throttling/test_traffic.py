"""A whole installation under load: eight programs send at once, Redis is emptied, everything is restarted meanwhile.

Counted is what the peer took, message by message.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dns import DNSServer
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

HERE, FAR = "here.test", "far.test"
ANN, BEN = f"ann@{HERE}", f"ben@{HERE}"
PROGRAMS = 8
# What ANN and BEN send from each program, and may send in an hour.
EACH, ANNS_LIMIT, BENS_LIMIT = {ANN: 3, BEN: 4}, 10, 13

_PROGRAM = """
import json, smtplib, ssl, sys
port, number, password, each = int(sys.argv[1]), sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
codes = {user: [] for user in each}
for user, count in each.items():
    with smtplib.SMTP_SSL("127.0.0.1", port, context=context, timeout=60) as client:
        client.login(user, password)
        for n in range(count):
            code = client.mail(user)[0]
            if code != 250:
                codes[user].append(code)
                continue
            client.rcpt("someone@far.test")
            name = f"{user.partition('@')[0]}-{number}-{n}"
            content = f"From: {user}\\r\\nSubject: {name}\\r\\nX-Test-Id: {name}\\r\\n\\r\\nHello\\r\\n"
            codes[user].append(client.data(content)[0])
print(json.dumps(codes))
"""


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[CountingSink]:
    sink = CountingSink(tmp_path)
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture
def mailspool(
    tmp_path: Path, sink: CountingSink, durable_postgres: PostgresServer | None
) -> Iterator[MailspoolUnderTest]:
    dns = DNSServer()
    dns.start()
    dns.add(FAR, "MX", f"10 mx.{FAR}.")
    dns.add(f"mx.{FAR}", "A", "127.0.0.1")
    url = durable_postgres.create_database("throttled_traffic") if durable_postgres else ""
    with MailspoolUnderTest(tmp_path, database_url=url, dns=dns.address, listeners=2, workers=2) as mailspool:
        mailspool.settings(smtp_out_port=sink.port)
        mailspool.add_domain(HERE, "ann", "ben")
        yield mailspool
    dns.stop()


def send_from_all(mailspool: MailspoolUnderTest) -> dict[str, list[int]]:
    """The replies to each user's messages, from PROGRAMS programs at once."""
    arguments = [str(mailspool.smtps_port), "{}", PASSWORD, json.dumps(EACH)]
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *(part.format(number) if part == "{}" else part for part in arguments)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROGRAMS)
    ]
    answers = [json.loads(program.communicate(timeout=120)[0]) for program in programs]
    return {user: [code for answer in answers for code in answer[user]] for user in EACH}


def taken(sink: CountingSink, user: str) -> list[str]:
    """The messages of a user that the peer has, in the order in which they came."""
    return [receipt.test_id for receipt in sink.receipts() if receipt.sender == user]


def held(mailspool: MailspoolUnderTest) -> list[str]:
    """What waits for a limit, the oldest first."""
    rows = mailspool.rows("SELECT subject FROM spool_entry WHERE status = 'throttled' ORDER BY id")
    return [subject for (subject,) in rows]


def flushall(mailspool: MailspoolUnderTest) -> None:
    with mailspool.redis.client() as client:
        client.flushall()


@pytest.mark.long
def test_eight_programs_get_exactly_the_limits_and_what_waits_outlives_everything(
    mailspool: MailspoolUnderTest, sink: CountingSink
) -> None:
    mailspool.manage("throttle", "set", ANN, "--messages-per-hour", str(ANNS_LIMIT), "--action", "delay")
    mailspool.manage("throttle", "set", BEN, "--messages-per-hour", str(BENS_LIMIT), "--action", "reject")
    time.sleep(1.2)

    replies = send_from_all(mailspool)
    assert replies[ANN] == [250] * PROGRAMS * EACH[ANN]
    assert sorted(replies[BEN]) == [250] * BENS_LIMIT + [450] * (PROGRAMS * EACH[BEN] - BENS_LIMIT)
    waiting = PROGRAMS * EACH[ANN] - ANNS_LIMIT
    wait_until(lambda: len(held(mailspool)) == waiting, f"{waiting} wait", 60)
    wait_until(lambda: len(sink.receipts()) == ANNS_LIMIT + BENS_LIMIT, "the others have arrived", 60)
    queue = held(mailspool)

    flushall(mailspool)
    for daemon in (*mailspool.listeners, *mailspool.workers):
        assert daemon.stop(30) == 0
        daemon.start()
    mailspool.wait_for_listener()
    mailspool.wait_for_workers()
    assert send_from_all(mailspool)[BEN] == [450] * PROGRAMS * EACH[BEN]
    queue_behind = waiting + PROGRAMS * EACH[ANN]
    wait_until(lambda: len(held(mailspool)) == queue_behind, "all new ones wait behind", 60)
    assert held(mailspool)[:waiting] == queue
    assert len(sink.receipts()) == ANNS_LIMIT + BENS_LIMIT

    mailspool.manage("throttle", "set", ANN, "--messages-per-hour", str(ANNS_LIMIT + 5))
    wait_until(lambda: len(taken(sink, ANN)) == ANNS_LIMIT + 5, "as many as there is room for have arrived", 60)
    assert set(taken(sink, ANN)[ANNS_LIMIT:]) == set(queue[:5]), "the oldest went first"
    assert held(mailspool)[: waiting - 5] == queue[5:]

    mailspool.manage("throttle", "release", ANN)
    mailspool.wait_until_empty(60)
    deliveries = sink.deliveries()
    assert len(taken(sink, ANN)) == 2 * PROGRAMS * EACH[ANN]
    # Each program sends the same names again the second time.
    assert {times for (name, _), times in deliveries.items() if name.startswith("ann")} == {2}
    assert {times for (name, _), times in deliveries.items() if name.startswith("ben")} == {1}
