"""Application passwords in real SMTP sessions."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.spool.smtpd.dialogue import Dialogue
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.postgres import PostgresServer

ANN = "ann@here.test"


@pytest.fixture(scope="module")
def mailspool(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[MailspoolUnderTest]:
    url = durable_postgres.create_database("sign_in") if durable_postgres else ""
    running = MailspoolUnderTest(tmp_path_factory.mktemp("sign-in"), database_url=url)
    running.prepare()
    running.add_domain("here.test", "ann")
    running.listeners[0].start()
    running.wait_for_listener()
    yield running
    running.kill()


def test_mail_programs_get_in_by_one_and_by_the_own_password_only_where_that_is_allowed(
    mailspool: MailspoolUnderTest,
) -> None:
    secret = mailspool.run(
        "from accounts.models import User\n"
        "from accounts.sign_in import app_passwords\n"
        "from spool.actions.actor import Actor\n"
        f"user = User.objects.get(email='{ANN}')\n"
        "print(app_passwords.create(Actor.of(user), user, 'Laptop'))"
    ).strip()

    def login(password: str) -> str:
        with Dialogue(mailspool.submission_port) as client:
            client.starttls()
            return client.login(ANN, password).status

    assert login(PASSWORD) == login(secret) == login(secret.replace("-", "")) == "235 2.7.0"
    assert login(secret[:-1]) == "535 5.7.8"
    mailspool.run(
        "from django.utils import timezone\n"
        "from accounts.models import SecondFactor, SignInSettings, User\n"
        f"user = User.objects.get(email='{ANN}')\n"
        "SecondFactor.objects.create(user=user, kind='totp', name='Phone', created=timezone.now())\n"
        "row = SignInSettings.load()\n"
        "row.mail_by_password = False\n"
        "row.save()"
    )
    time.sleep(1.1)
    assert login(PASSWORD) == "535 5.7.8"
    assert login(secret) == "235 2.7.0"
    used = mailspool.rows("SELECT last_ip FROM accounts_apppassword")
    assert used[0][0] == "127.0.0.1"
    mailspool.manage("account", "user", "password", ANN, "--password", "another-long-secret")
    assert login(secret) == "535 5.7.8", "somebody else has set the password: they end with it"
