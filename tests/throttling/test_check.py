"""Rejecting at the port, on listeners of its own: exact for each limit, with many clients and processes at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.spool.smtpd.conftest import ANN, BOB, CLEO, Listener, an_installation
from tests.spool.smtpd.dialogue import Dialogue, Reply, submission
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

FAR, NEWS = "x@elsewhere.test", "news@here.test"
# A process sees another's change within a second.
SEEN_SECONDS = 1.2


class Server:
    """Two listeners, and short ways to set limits and to send."""

    def __init__(self, mailspool: MailspoolUnderTest) -> None:
        self.mailspool = mailspool

    def limit(self, name: str, **fields: object) -> None:
        table, column = ("user", "email") if "@" in name else ("domain", "name")
        table, column = ("mailinglist", "address") if name == NEWS else (table, column)
        values = ", ".join(f"{field} = %s" for field in fields)
        self.execute(f"UPDATE accounts_{table} SET {values} WHERE {column} = %s", *fields.values(), name)
        self.execute("UPDATE accounts_directorystamp SET version = version + 1")
        time.sleep(SEEN_SECONDS)

    def execute(self, statement: str, *values: object) -> None:
        with Listener(self.mailspool)._cursor() as cursor:
            cursor.execute(statement if self.mailspool.database_url else statement.replace("%s", "?"), values)

    def begin_anew(self) -> None:
        """No limits, nothing counted, an empty spool."""
        none = "messages_per_hour = 0, bandwidth_mb_per_hour = 0, recipients_per_hour = 0"
        self.execute(
            f"UPDATE accounts_user SET {none} WHERE messages_per_hour + bandwidth_mb_per_hour + recipients_per_hour > 0"
        )
        self.execute(f"UPDATE accounts_domain SET {none}, bounces_per_hour = 0")
        self.execute(f"UPDATE accounts_mailinglist SET {none}")
        for table in ("recipient", "entry", "receivedbounce"):
            self.execute(f"DELETE FROM spool_{table}")
        for table in ("passage", "throttleevent", "throttlenotice", "throttlesettings"):
            self.execute(f"DELETE FROM throttling_{table}")
        with self.mailspool.redis.client() as client:
            client.flushall()

    def moment(self) -> object:
        now = datetime.now(UTC)
        return now if self.mailspool.database_url else now.replace(tzinfo=None).isoformat(" ", "microseconds")

    def send(self, user: str = ANN, to: tuple[str, ...] = (FAR,), size: int = 0) -> Reply:
        with submission(self.mailspool.submission_port, user, PASSWORD) as client:
            return _send(client, user, to, size)

    def as_stranger(self, to: str = ANN, source: str = "127.0.0.1") -> Reply:
        with Dialogue(self.mailspool.smtp_port, source=source) as client:
            return _send(client, FAR, (to,), 0)

    def accepted(self) -> int:
        return self.mailspool.count("spool_entry WHERE auth_user <> ''")


def _send(client: Dialogue, sender: str, to: tuple[str, ...], size: int) -> Reply:
    answer = client.do(f"MAIL FROM:<{sender}>")
    for recipient in to:
        if answer.code != 250:
            return answer
        answer = client.do(f"RCPT TO:<{recipient}>")
    return client.content(a_message(to=list(to), sender=sender, size=size)) if answer.code == 250 else answer


@pytest.fixture(scope="module")
def running_server(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[Server]:
    mailspool = an_installation(tmp_path_factory.mktemp("throttled"), durable_postgres, "throttled", listeners=2)
    mailspool.redis.start()
    for listener in mailspool.listeners:
        listener.start(lambda listener=listener: listener.has_printed("listening on"))  # type: ignore[misc]
    yield Server(mailspool)
    mailspool.kill()


@pytest.fixture
def server(running_server: Server) -> Server:
    running_server.begin_anew()
    return running_server


def test_exactly_the_limit_of_messages_is_taken_and_the_reply_says_why_and_until_when(server: Server) -> None:
    server.limit(ANN, messages_per_hour=3, messages_action="reject")
    assert [server.send().code for _ in range(3)] == [250] * 3
    refused = server.send()
    assert refused.status == "450 4.7.1"
    assert f"{ANN} has sent 3 messages in the last hour, of 3 allowed; try again after " in refused.text
    assert server.send(BOB).code == 250, "others go on"
    assert server.accepted() == 4
    assert server.mailspool.rows("SELECT kind, name, metric, action, amount FROM throttling_throttleevent") == [
        ("user", ANN, "messages", "reject", 3)
    ]


# Far from its end the larger limit asks Redis no question.
@pytest.mark.parametrize(("limit", "each"), [(25, 8), (150, 24)])
def test_many_clients_of_two_processes_at_once_get_exactly_the_limit(server: Server, limit: int, each: int) -> None:
    server.limit(ANN, messages_per_hour=limit, messages_action="reject")
    codes: Counter[int] = Counter()
    lock = threading.Lock()

    def client() -> None:
        with submission(server.mailspool.submission_port, ANN, PASSWORD) as session:
            for _ in range(each):
                code = _send(session, ANN, (FAR,), 0).code
                with lock:
                    codes[code] += 1

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == {250: limit, 450: 8 * each - limit}
    assert server.accepted() == limit


def test_far_from_a_limit_all_is_counted_a_moment_later(server: Server) -> None:
    server.limit(
        ANN, messages_per_hour=5000, recipients_per_hour=5000, messages_action="reject", recipients_action="reject"
    )
    with submission(server.mailspool.submission_port, ANN, PASSWORD) as session:
        assert [_send(session, ANN, (FAR, BOB), 0).code for _ in range(60)] == [250] * 60

    def used(metric: str) -> int:
        return int(
            server.mailspool.run(
                "from throttling.counting.windows import *\nfrom throttling.subjects import *\n"
                f"window = Window(Subject(SubjectKind.USER, {ANN!r}), Metric({metric!r}))\n"
                "print(look([window])[window].used)"
            ).split()[-1]
        )

    wait_until(lambda: used("messages") == 60 and used("recipients") == 120, "each is counted, and counted once", 30)


def test_recipients_count_each_and_a_message_goes_whole_or_not_at_all(server: Server) -> None:
    server.limit(ANN, recipients_per_hour=5, recipients_action="reject")
    assert server.send(to=(FAR, BOB, CLEO)).code == 250
    assert server.send(to=(FAR, BOB, CLEO)).status == "450 4.7.1"
    assert server.send(to=(FAR, BOB)).code == 250
    assert server.accepted() == 2


def test_bandwidth_counts_size_times_recipients(server: Server) -> None:
    server.limit(ANN, bandwidth_mb_per_hour=1, bandwidth_action="reject")
    assert server.send(to=(FAR, BOB), size=400_000).code == 250
    refused = server.send(size=400_000)
    assert refused.status == "450 4.7.1"
    assert "of 1 MB allowed" in refused.text


def test_a_domains_limit_is_for_all_in_it(server: Server) -> None:
    server.limit("here.test", messages_per_hour=2, messages_action="reject")
    assert [server.send(user).code for user in (ANN, BOB, CLEO)] == [250, 250, 450]


def test_too_many_bounces_stop_a_domain(server: Server) -> None:
    server.limit("here.test", bounces_per_hour=2, bounces_action="reject")
    assert server.send().code == 250
    for _ in range(2):
        server.execute(
            'INSERT INTO spool_receivedbounce ("user", domain, failed_recipient, status, diagnostic, received)'
            " VALUES (%s, 'here.test', '', '', '', %s)",
            ANN,
            server.moment(),
        )
    time.sleep(SEEN_SECONDS)
    refused = server.send()
    assert refused.status == "450 4.7.1"
    assert "here.test has received 2 bounces in the last hour, of 2 allowed" in refused.text


def test_a_list_over_its_limit_takes_no_more(server: Server) -> None:
    server.limit(NEWS, messages_per_hour=1, messages_action="reject")
    assert server.as_stranger(NEWS).code == 250
    server.execute(
        "INSERT INTO throttling_passage (file_name, at, sender, domain, client_ip, recipients, size_bytes)"
        " VALUES ('x.eml', %s, %s, 'here.test', '', 1, 1)",
        int(time.time()),
        NEWS,
    )
    with server.mailspool.redis.client() as client:
        client.flushall()
    refused = server.as_stranger(NEWS)
    assert refused.status == "450 4.7.1"
    assert f"{NEWS} has sent 1 message" in refused.text
    assert server.as_stranger(ANN).code == 250


def test_a_strangers_address_has_a_limit_of_its_own(server: Server) -> None:
    server.mailspool.run(
        "from throttling.models import ThrottleSettings\nrow = ThrottleSettings.load()\n"
        "row.ip_messages_per_hour = 2\nrow.reject_permanently = True\nrow.save()"
    )
    time.sleep(SEEN_SECONDS)
    assert [server.as_stranger().status for _ in range(3)] == ["250 2.0.0", "250 2.0.0", "550 5.7.1"]
    assert server.as_stranger(source="127.0.0.2").code == 250
    assert server.send().code == 250, "whoever has logged in counts as that user"


def test_after_redis_was_emptied_what_waits_in_the_spool_still_counts(server: Server) -> None:
    server.limit(ANN, messages_per_hour=3, messages_action="reject")
    assert [server.send().code for _ in range(2)] == [250, 250]
    with server.mailspool.redis.client() as client:
        client.flushall()
    assert [server.send().code for _ in range(2)] == [250, 450]


def test_after_the_clock_was_set_back_the_limit_is_the_same_and_the_wait_no_longer(server: Server) -> None:
    # Of hers nothing was written a moment ago: a listener writes one at most every two seconds.
    server.limit(CLEO, messages_per_hour=3, messages_action="reject")
    assert [server.send(CLEO).code for _ in range(2)] == [250, 250]
    with server.mailspool.redis.client() as client:
        for key in client.keys("mailspool:throttle:*"):
            client.pexpire(key, client.pttl(key) + 3 * 3_600_000)
    assert [server.send(CLEO).code for _ in range(2)] == [250, 450]
    [(until,)] = server.mailspool.rows("SELECT until FROM throttling_throttleevent")
    moment = until if isinstance(until, datetime) else datetime.fromisoformat(until).replace(tzinfo=UTC)
    assert (moment - datetime.now(UTC)).total_seconds() <= 3601


def test_a_message_that_is_not_finished_counts_for_nobody(server: Server) -> None:
    server.limit(ANN, messages_per_hour=1, messages_action="reject")
    with submission(server.mailspool.submission_port, ANN, PASSWORD) as client:
        client.begin(ANN, FAR)
        client.do("DATA", enhanced=False)
        client.send(b"Subject: Half of it\r\n")
    assert server.send().code == 250
    assert server.send().code == 450


def test_a_released_user_may_send_again(server: Server) -> None:
    server.limit(ANN, messages_per_hour=1, messages_action="reject")
    assert [server.send().code for _ in range(2)] == [250, 450]
    done = server.mailspool.manage("throttle", "release", ANN, "--json")
    assert '"messages": 0' in done.stdout
    time.sleep(SEEN_SECONDS)
    assert [server.send().code for _ in range(2)] == [250, 450]
