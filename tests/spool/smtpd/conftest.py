"""One listener that really listens, for all tests of the folder. No worker runs: what it took stays to be looked at."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.spool.smtpd.dialogue import Dialogue, submission
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

ANN, BOB, CLEO, DAN = (f"{name}@here.test" for name in ("ann", "bob", "cleo", "dan"))

_DIRECTORY = f"""
from accounts.models import *
from spool.models import Route, RouteKind, Suppression
here = Domain.objects.create(name="here.test")
catching = Domain.objects.create(name="catching.test", catch_all="{ANN}")
off = Domain.objects.create(name="off.test", status=Status.DISABLED)
receiving = Domain.objects.create(name="receiving.test", status=Status.RECEIVING)
def user(address, domain=here, **fields):
    return User.objects.create_user(address, "{PASSWORD}", domain=domain, **fields)
for name in ("ann", "bob", "cleo"):
    user(f"{{name}}@here.test")
user("dan@here.test", max_message_kb=10, max_recipients=3)
for rule in ("envelope", "domain", "any"):
    user(f"{{rule}}@here.test", send_as=rule)
user("ann@any.test", Domain.objects.create(name="any.test", send_as="any"))
user("off@here.test", status=Status.DISABLED)
user("receiving@here.test", status=Status.RECEIVING)
user("ann@off.test", off)
user("ann@receiving.test", receiving)
def alias(address, *targets):
    row = Alias.objects.create(address=address, domain=here)
    for target in targets:
        AliasTarget.objects.create(alias=row, address=target)
alias("sales@here.test", "{ANN}", "{BOB}")
alias("away@here.test", "dan@elsewhere.test")
alias("nobody-left@here.test", "off@here.test")
news = MailingList.objects.create(address="news@here.test", domain=here)
ListMember.objects.create(mailing_list=news, address="{ANN}")
User.objects.bulk_create(User(email=f"u{{n}}@here.test", domain=here, password="!") for n in range(10_000))
user("ann@strict.test", Domain.objects.create(name="strict.test", suppression="refuse"))
for listed in ("dead@elsewhere.test", "postmaster@elsewhere.test"):
    Suppression.objects.create(domain="strict.test", address=listed, reason="bounce", since="2026-03-02T12:00Z")
Route.objects.create(domain="gateway.test", kind=RouteKind.GATEWAY, host="127.0.0.1", port=9)
Route.objects.create(domain="smarthost.test", host="127.0.0.1", port=9)
"""
_numbers = count(1)


@dataclass(frozen=True)
class Stored:
    """What the spool has of a message."""

    row: dict[str, Any]
    recipients: list[dict[str, Any]]
    content: bytes

    @property
    def addresses(self) -> list[str]:
        return [str(recipient["address"]) for recipient in self.recipients]


class Listener:
    """The installation, and short ways to talk to it and to look into its spool."""

    def __init__(self, mailspool: MailspoolUnderTest) -> None:
        self.mailspool = mailspool

    def client(self, **options: Any) -> Dialogue:
        """A client of the MX port."""
        return Dialogue(self.mailspool.smtp_port, **options)

    def submission(self, username: str = ANN) -> Any:
        return submission(self.mailspool.submission_port, username, PASSWORD)

    def message(self, **options: Any) -> tuple[str, bytes]:
        """A new message, of ANN unless another `sender` is named, and its subject, by which it is found again."""
        subject = f"Message {next(_numbers)}"
        return subject, a_message(subject=subject, **{"sender": ANN, **options})

    def find(self, subject: str) -> list[Stored]:
        """The entries with that subject."""
        found = []
        for row in self.rows("SELECT * FROM spool_entry WHERE subject = %s", subject):
            recipients = self.rows("SELECT * FROM spool_recipient WHERE entry_id = %s ORDER BY id", row["id"])
            found.append(Stored(row, recipients, self.content_of(row)))
        return found

    def content_of(self, row: dict[str, Any]) -> bytes:
        """The message of an entry. A small one has no file before it comes to rest."""
        inline = self.rows("SELECT content FROM spool_content WHERE entry_id = %s", row["id"])
        path = self.mailspool.home / "spool" / row["subspool"] / row["file_name"]
        return bytes(inline[0]["content"]) if inline else path.read_bytes()

    def only(self, subject: str) -> Stored:
        [stored] = self.find(subject)
        return stored

    def count(self) -> int:
        return self.mailspool.count("spool_entry")

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with self._cursor() as cursor:
            cursor.execute(query if self.mailspool.database_url else query.replace("%s", "?"), values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    @contextmanager
    def settings(self, **values: object) -> Iterator[None]:
        """Fields of spool.Settings, in effect inside. Unchecked: a test can't wait for the shortest time allowed."""
        before = self.rows(f"SELECT {', '.join(values)} FROM spool_settings")[0]
        self.write_settings(values)
        self._reload()
        try:
            yield
        finally:
            self.write_settings(before)
            self._reload()

    def _reload(self) -> None:
        listener = self.mailspool.listeners[0]
        done = b"read settings and certificate anew"
        before = listener.log.read_bytes().count(done)
        listener.signal(signal.SIGHUP)
        wait_until(lambda: listener.log.read_bytes().count(done) > before, "the settings are read", 10, every=0.01)

    def write_settings(self, values: dict[str, object]) -> None:
        fields = ", ".join(f"{name} = %s" for name in values)
        with self._cursor() as cursor:
            query = f"UPDATE spool_settings SET {fields}"
            cursor.execute(query if self.mailspool.database_url else query.replace("%s", "?"), tuple(values.values()))

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        if self.mailspool.database_url:
            url = self.mailspool.database_url.replace("postgres://", "postgresql://", 1)
            with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
                yield cursor
            return
        path = self.mailspool.home / "mailspool.sqlite3"
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            connection.row_factory = None
            yield connection.cursor()

    def rss_mb(self) -> float:
        """What the listener keeps in memory now."""
        status = Path(f"/proc/{self.mailspool.listeners[0].pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def an_installation(folder: Path, server: PostgresServer | None, name: str, **options: Any) -> MailspoolUnderTest:
    """Redis and listeners alone, with a directory to receive for."""
    url = server.create_database(name) if server else ""
    env = {"DJANGO_SETTINGS_MODULE": "tests.spool.smtpd.settings"}
    mailspool = MailspoolUnderTest(folder, database_url=url, env=env, **options)
    mailspool.prepare()
    mailspool.run(_DIRECTORY)
    return mailspool


@pytest.fixture(scope="session")
def running_listener(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[Listener]:
    mailspool = an_installation(tmp_path_factory.mktemp("smtpd"), durable_postgres, "smtpd")
    mailspool.settings(max_message_kb=102_400)
    mailspool.redis.start()
    mailspool.listeners[0].start()
    mailspool.wait_for_listener()
    yield Listener(mailspool)
    mailspool.kill()


@pytest.fixture
def listener(running_listener: Listener) -> Iterator[Listener]:
    """The listener; a test whose session ended by an error of the program fails."""
    log = running_listener.mailspool.listeners[0].log
    before = log.stat().st_size
    yield running_listener
    written = log.read_bytes()[before:].decode()
    assert "never retrieved" not in written, written
    assert "Traceback" not in written or "a bug in a check" in written, written
