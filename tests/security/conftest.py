"""Two listeners that share their ports, without Redis: what is listed has to reach both of them by the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.spool.smtpd.dialogue import Dialogue, submission
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.postgres import PostgresServer

ANN, BOB = "ann@here.test", "bob@here.test"
# A change counts everywhere within a second.
WITHIN_SECONDS = 1.0
_IMPORTS = """
from security import actions, lists
from security.models import *
from spool.actions.actor import Actor
root = Actor.at_the_shell()
"""
_FRESH = f"""{_IMPORTS}
BlacklistEntry.objects.all().delete()
SMTPBlock.objects.all().delete()
WhitelistEntry.objects.filter(is_default=False).delete()
WhitelistEntry.objects.update(auth_bypass=False, smtp=True)
# Everything here comes from this machine.
actions.whitelist(root, "127.0.0.0/8", protocols=["web"])
"""


class Guarded:
    """The installation, and short ways to talk to it."""

    def __init__(self, mailspool: MailspoolUnderTest) -> None:
        self.mailspool = mailspool

    def client(self, source: str = "127.0.0.1", **options: bool) -> Dialogue:
        """A client of the MX port."""
        return Dialogue(self.mailspool.smtp_port, source=source, **options)

    def submission(self, username: str = ANN) -> AbstractContextManager[Dialogue]:
        """A client of the submission port, logged in."""
        return submission(self.mailspool.submission_port, username, PASSWORD)

    def do(self, statements: str) -> None:
        """Change the lists in another process, as a page or a command does; in effect on return."""
        self.mailspool.run(_IMPORTS + statements)
        time.sleep(WITHIN_SECONDS)

    def commit(self, statements: str) -> float:
        """Change the lists in another process; the time (since 1970) when that was committed."""
        return float(self.mailspool.run(f"{_IMPORTS}{statements}\nimport time\nprint(time.time())"))


@pytest.fixture(scope="package")
def guarded_installation(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[Guarded]:
    url = durable_postgres.create_database("guarded") if durable_postgres else ""
    mailspool = MailspoolUnderTest(tmp_path_factory.mktemp("guarded"), database_url=url, listeners=2)
    mailspool.prepare()
    mailspool.add_domain("here.test", "ann", "bob")
    for listener in mailspool.listeners:
        listener.start()
    mailspool.wait_for_listener()
    yield Guarded(mailspool)
    mailspool.kill()


@pytest.fixture
def guarded(guarded_installation: Guarded) -> Guarded:
    """The installation with empty lists, and nothing said of this machine."""
    guarded_installation.do(_FRESH)
    return guarded_installation
