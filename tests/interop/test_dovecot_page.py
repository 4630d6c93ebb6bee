"""docs/dovecot.md: a Dovecot that is made of the page's own text, and nothing else, works with Mailspool's accounts.

Paths, ports and the names of system users are replaced, for the test's own; what keeps it apart from a Dovecot of the
machine goes into the file that the page leaves for changes.
"""

from __future__ import annotations

import base64
import csv
import imaplib
import os
import poplib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.accounts.test_hashes import HASHES, PASSWORD
from tests.interop.world import LONG, World
from tests.support.certificates import Authority
from tests.support.daemon import Daemon
from tests.support.dovecot import is_installed
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.ports import free_port, is_listening
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(
    not is_installed() or os.geteuid() != 0 or not Path("/usr/bin/sievec").exists(),
    reason="needs Dovecot with Sieve, and root to start it",
)

DOMAIN = "dove.test"
ANN, BOB, CLEO, DORA, EVE, FAY = (f"{name}@{DOMAIN}" for name in ("ann", "bob", "cleo", "dora", "eve", "fay"))
NEWER = "## Dovecot 2.4\n"
PAGE = Path(__file__).parents[2] / "docs" / "dovecot.md"
SCRIPT = 'require ["fileinto", "mailbox"];\r\nif header :contains "subject" "[list]" { fileinto :create "Lists"; }\r\n'
PORTS = {
    "imap-login": ("imap", "imaps"),
    "pop3-login": ("pop3", "pop3s"),
    "managesieve-login": ("sieve",),
}


class PagesDovecot:
    """The page's files in a folder, with a Dovecot that has them. Each block of the page is a file, in their order."""

    def __init__(self, mailspool: MailspoolUnderTest, postgres: PostgresServer | None, *, maildir: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailspool-dovecot-"))
        self.folder.chmod(0o755)
        self.ports = {name: free_port() for names in PORTS.values() for name in names} | {"http": free_port()}
        self.maildirs = self.folder / "maildirs"
        self.authority = Authority(self.folder)
        certificate, key = self.authority.files(self.folder / "tls", "mail.example.org")
        grants, sql, app_sql, on_sqlite, as_mailspool, main, self.junk, ours = re.findall(
            r"^```\w*\n(.*?)^```", PAGE.read_text().partition(NEWER)[0], re.MULTILINE | re.DOTALL
        )
        [self._moving] = re.findall(
            r"^    cd /var/lib/mailspool/maildirs\n(?:    .*\n)+", PAGE.read_text(), re.MULTILINE
        )
        # Nobody may read what the installation of the tests has; so these Maildirs are a copy.
        paths = {
            "/etc/letsencrypt/live/mail.example.org/fullchain.pem": certificate,
            "/etc/letsencrypt/live/mail.example.org/privkey.pem": key,
            "/etc/dovecot": self.folder / "etc",
            "/var/vmail": self.folder / "vmail",
            "/var/lib/mailspool/maildirs": self.maildirs,
            "/var/lib/mailspool/dovecot": self.folder / "vmail",
            "/var/lib/mailspool/mailspool.sqlite3": mailspool.home / "mailspool.sqlite3",
        }
        self._substitutes = [
            *((old, str(new)) for old, new in paths.items()),
            ("listen = *, ::", "listen = 127.0.0.1"),
            ("port = 8080", f"port = {self.ports['http']}"),
            ("_uid = vmail", "_uid = nobody"),
            ("_gid = vmail", "_gid = nogroup"),
            ("_uid = mailspool", "_uid = nobody"),
            ("_gid = mailspool", "_gid = nogroup"),
            ("user = mailspool", "user = root"),
            ("group = mailspool", "group = root"),
        ]
        local = ours if maildir else ""
        if postgres is None:
            sql, app_sql = (re.sub(r"\Adriver = .*\nconnect = .*\n", on_sqlite, text) for text in (sql, app_sql))
            local += as_mailspool
        else:
            _grant(postgres, grants)
            self._substitutes.append(
                ("host=/run/postgresql dbname=mailspool", f"host={postgres.folder} dbname=interop")
            )
        for name, text in {
            "dovecot.conf": main,
            "dovecot-sql.conf.ext": sql,
            "dovecot-sql-app.conf.ext": app_sql,
            "local.conf": local + self._apart(),
            "sieve/junk.sieve": self.junk,
        }.items():
            self._write(name, text)
        (self.folder / "vmail").mkdir()
        shutil.chown(self.folder / "vmail", "nobody", "nogroup")
        self.config = self.folder / "etc" / "dovecot.conf"
        self.daemon = Daemon("dovecot", [_tool("dovecot"), "-F", "-c", self.config], self.folder / "dovecot.log")
        subprocess.run(["/usr/bin/sievec", "-c", self.config, self.folder / "etc/sieve/junk.sieve"], check=True)
        self.daemon.start(lambda: is_listening(self.ports["imaps"]) and is_listening(self.ports["http"]))

    def take_maildirs_along(self) -> None:
        """Run the page's commands for mail that came before."""
        script = self._ours(self._moving).replace("vmail:vmail", "nobody:nogroup")
        subprocess.run(["/bin/sh", "-eu", "-c", script], check=True)

    def _ours(self, text: str) -> str:
        for old, new in self._substitutes:
            text = text.replace(old, new)
        return text

    def _write(self, name: str, text: str) -> None:
        path = self.folder / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._ours(text))

    def _apart(self) -> str:
        """What the machine's own Dovecot has at the same time: its folders, its log, its ports.

        And no penalty for failed logins, which grows with each: the test has many.
        """
        lines = [
            f"base_dir = {self.folder}/run",
            f"state_dir = {self.folder}/state",
            "log_path = /dev/stderr",
            f"instance_name = {self.folder.name}",
            "auth_failure_delay = 0",
            "service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}",
        ]
        for service, names in PORTS.items():
            listeners = "".join(f"  inet_listener {name} {{\n    port = {self.ports[name]}\n  }}\n" for name in names)
            lines.append(f"service {service} {{\n{listeners}}}")
        return "\n".join(lines) + "\n"

    @property
    def lmtp_socket(self) -> Path:
        return self.folder / "run" / "mailspool-lmtp"

    @property
    def trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        # The certificate names the host of the page.
        context.check_hostname = False
        return context

    def remove(self) -> None:
        self.daemon.stop(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def lets_in(self, user: str, password: str = PASSWORD) -> bool:
        try:
            self._imap(user, password).logout()
        except imaplib.IMAP4.error as error:
            assert "AUTHENTICATIONFAILED" in str(error), f"{error}\n{self.daemon.log_tail()}"
            return False
        return True

    def subjects(self, user: str, mailbox: str = "INBOX") -> list[str]:
        with self._imap(user, PASSWORD) as client:
            if client.select(mailbox, readonly=True)[0] != "OK":
                return []
            numbers = client.search(None, "ALL")[1][0].split()
            answers = [client.fetch(number, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0] for number in numbers]
            return [
                answer[1].decode().strip().removeprefix("Subject: ") for answer in answers if isinstance(answer, tuple)
            ]

    def _imap(self, user: str, password: str) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("127.0.0.1", self.ports["imaps"], ssl_context=self.trust, timeout=30)
        # imaplib's login() sends ASCII only.
        client.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
        return client

    def pop3_count(self, user: str) -> int:
        client = poplib.POP3_SSL("127.0.0.1", self.ports["pop3s"], context=self.trust, timeout=30)
        client.encoding = "UTF-8"
        client.user(user)
        client.pass_(PASSWORD)
        number = client.stat()[0]
        client.quit()
        return number

    def put_script(self, user: str, script: str) -> None:
        """By ManageSieve (RFC 5804), as a webmail does."""
        with socket.create_connection(("127.0.0.1", self.ports["sieve"]), 30) as plain:
            _until_ok(plain)
            plain.sendall(b"STARTTLS\r\n")
            _until_ok(plain)
            with self.trust.wrap_socket(plain) as client:
                _until_ok(client)
                login = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
                for command in (
                    f'AUTHENTICATE "PLAIN" "{login}"',
                    f'PUTSCRIPT "mine" {{{len(script)}+}}\r\n{script}',
                    'SETACTIVE "mine"',
                ):
                    client.sendall(f"{command}\r\n".encode())
                    _until_ok(client)


def _until_ok(client: socket.socket) -> None:
    received = b""
    while not re.search(rb"(?m)^OK\b.*\r\n\Z", received):
        piece = client.recv(4096)
        assert piece, f"ManageSieve ended: {received!r}"
        received += piece
        assert not re.search(rb"(?m)^(NO|BYE)\b", received), received


def _grant(postgres: PostgresServer, grants: str) -> None:
    # Dovecot's user must reach the socket.
    postgres.folder.chmod(0o711)
    with psycopg.connect(host=str(postgres.folder), user="postgres", dbname="interop", autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'dovecot'").fetchone() is None:
            connection.execute("CREATE ROLE dovecot LOGIN")
        connection.execute(grants.encode())


def _tool(name: str) -> str:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or name


@pytest.fixture(scope="module")
def accounts(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Users as they come from elsewhere, with each kind of hash."""
    rows = [
        ("kind", "address", "password", "status", "mailbox_mb"),
        ("domain", DOMAIN, "", "", ""),
        ("user", ANN, f"{{BLF-CRYPT}}{HASHES['BLF-CRYPT']}", "", "7"),
        ("user", BOB, f"{{SHA512-CRYPT}}{HASHES['SHA512-CRYPT']}", "", ""),
        ("user", CLEO, f"{{PLAIN}}{PASSWORD}", "", ""),
        ("user", DORA, f"{{SHA256-CRYPT}}{HASHES['SHA256-CRYPT']}", "receiving", ""),
        ("user", EVE, f"{{ARGON2I}}{HASHES['ARGON2I']}", "disabled", ""),
        ("user", FAY, "!", "", ""),
    ]
    path = tmp_path_factory.mktemp("accounts") / "accounts.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    world.mailspool.manage("account", "import", str(path))


@pytest.fixture
def dovecot(
    world: World, mailspool: MailspoolUnderTest, accounts: None, durable_postgres: PostgresServer | None
) -> Iterator[PagesDovecot]:
    """The page's main set-up: Mailspool delivers by LMTP."""
    server = PagesDovecot(mailspool, durable_postgres, maildir=False)
    mailspool.settings(local_store="lmtp", lmtp_address=str(server.lmtp_socket))
    yield server
    mailspool.settings(local_store="maildir", lmtp_address="")
    server.remove()


def test_the_pages_dovecot_keeps_mail_and_knows_mailspools_users(
    world: World, mailspool: MailspoolUnderTest, dovecot: PagesDovecot
) -> None:
    for user in (ANN, BOB, CLEO, ANN.upper()):
        assert dovecot.lets_in(user), f"{user}\n{dovecot.daemon.log_tail()}"
        assert not dovecot.lets_in(user, "wrong")
    for user in (DORA, EVE, FAY, f"nobody@{DOMAIN}"):
        assert not dovecot.lets_in(user), user
        assert not dovecot.lets_in(user, "!")

    _application_passwords(mailspool, dovecot)
    dovecot.put_script(ANN, SCRIPT)
    sent = {
        subject: a_message([ANN, DORA], "x@elsewhere.test", subject=subject) for subject in ("Hello", "[list] News")
    }
    for content in sent.values():
        mailspool.send("x@elsewhere.test", [ANN, DORA], content)
    wait_until(lambda: dovecot.subjects(ANN) == ["Hello"], f"it is in INBOX\n{mailspool.log_tails()}", LONG)
    wait_until(lambda: dovecot.subjects(ANN, "Lists") == ["[list] News"], "ann's script has filed the other", LONG)
    assert dovecot.pop3_count(ANN) == 1
    mailspool.wait_until_empty(LONG)
    assert len(list((dovecot.folder / "vmail" / DOMAIN / "dora").rglob("new/*"))) == 2, "dora only receives"

    with smtplib.LMTP(str(dovecot.lmtp_socket)) as client:
        client.sendmail("", [ANN], b"Subject: Buy\r\nX-Spam-Flag: YES\r\n\r\n[list]\r\n")
        assert client.mail("")[0] == 250
        assert client.rcpt(EVE)[0] == 550, "eve is disabled"
        assert client.rcpt(FAY)[0] == 250, "fay has no password, and a mailbox"
    assert dovecot.subjects(ANN, "Junk") == ["Buy"]

    shown = subprocess.run(
        [_tool("doveadm"), "-c", dovecot.config, "user", ANN], check=True, capture_output=True, text=True
    ).stdout
    assert "*:storage=7M" in shown
    listed = subprocess.run(
        [_tool("doveadm"), "-c", dovecot.config, "user", f"*@{DOMAIN}"], check=True, capture_output=True, text=True
    ).stdout
    assert sorted(listed.split()) == [ANN, BOB, CLEO, DORA, FAY]
    request = urllib.request.Request(
        f"http://127.0.0.1:{dovecot.ports['http']}/doveadm/v1",
        b'[["who",{},"t"]]',
        {"Authorization": f"X-Dovecot-API {base64.b64encode(b'CHANGE-ME-TO-A-LONG-SECRET').decode()}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert b"doveadmResponse" in answer.read()

    old = dovecot.maildirs / DOMAIN / "cleo"
    for name in ("cur", "new", "tmp"):
        (old / name).mkdir(parents=True)
    (old / "new" / "1.M1P1.old").write_bytes(b"Subject: Before\n\nHi\n")
    dovecot.take_maildirs_along()
    assert dovecot.subjects(CLEO) == ["Before"]

    mailspool.manage("account", "user", "disable", BOB)
    assert not dovecot.lets_in(BOB)
    assert not re.search(r"(?i)\b(error|fatal|panic)\b(?!.*\bfailed: Password mismatch)", dovecot.daemon.log_tail())


def _application_passwords(mailspool: MailspoolUnderTest, dovecot: PagesDovecot) -> None:
    """Each lets in its owner; where they are needed, the account's own password does not."""
    secret = mailspool.run(
        "from accounts.models import User\n"
        "from accounts.sign_in import app_passwords\n"
        "from spool.actions.actor import Actor\n"
        f"user = User.objects.get(email='{CLEO}')\n"
        "app_passwords.create(Actor.of(user), user, 'Tablet')\n"
        "print(app_passwords.create(Actor.of(user), user, 'Phone'))"
    ).strip()
    assert dovecot.lets_in(CLEO, secret), dovecot.daemon.log_tail()
    assert not dovecot.lets_in(CLEO, secret[:-1]) and not dovecot.lets_in(ANN, secret)
    assert not dovecot.lets_in(CLEO, "' OR '1' = '1") and not dovecot.lets_in(CLEO, "")
    mailspool.run(
        "from django.utils import timezone\n"
        "from accounts.models import SecondFactor, SignInSettings, User\n"
        f"user = User.objects.get(email='{CLEO}')\n"
        "SecondFactor.objects.create(user=user, kind='totp', name='Phone', created=timezone.now())\n"
        "SignInSettings.load()"
    )
    assert dovecot.lets_in(CLEO)
    mailspool.manage("settings", "set", "signin.mail_by_password", "off")
    assert not dovecot.lets_in(CLEO) and dovecot.lets_in(CLEO, secret) and dovecot.lets_in(ANN)
    mailspool.manage("settings", "set", "signin.mail_by_password", "on")
    mailspool.manage("account", "user", "factors", CLEO, "--remove")


def test_the_pages_dovecot_shows_the_maildirs_that_mailspool_writes(
    world: World, mailspool: MailspoolUnderTest, accounts: None, durable_postgres: PostgresServer | None
) -> None:
    test_id = world.send("x@elsewhere.test", CLEO)
    world.wait_for_mail(CLEO, test_id)
    server = PagesDovecot(mailspool, durable_postgres, maildir=True)
    try:
        shutil.copytree(mailspool.home / "maildirs", server.maildirs)
        for path in (server.maildirs, *server.maildirs.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
        assert server.subjects(CLEO) == [f"Test {test_id}"], server.daemon.log_tail()
    finally:
        server.remove()


def test_the_file_for_dovecot_2_4_asks_the_same_questions() -> None:
    older, _, newer = PAGE.read_text().partition(NEWER)
    [of_applications] = re.findall(r"^password_query = \\\n((?:.*\\\n)*.*a\.digest(?:.*\\\n)*.*)$", older, re.MULTILINE)
    question = " ".join(of_applications.replace("\\\n", " ").split())
    question = question.replace("'%u'", "'%{user}'").replace("'%w'", "'%{password}'")
    assert question in " ".join(newer[newer.index("passdb applications {") :].replace("\\\n", " ").split())
    for name, block in (
        ("password_query", "passdb sql {"),
        ("user_query", "userdb sql {"),
        ("iterate_query", "iterate_query = SELECT"),
    ):
        asked = re.search(rf"^{name} = \\\n((?:.*\\\n)*.*)$", older, re.MULTILINE)
        assert asked is not None
        question = " ".join(asked[1].replace("\\\n", " ").split()).replace("'%u'", "'%{user}'")
        if name == "user_query":
            # Quota is the one thing that has another form.
            question = question.replace("'*:storage=' || ", "").replace("quota_rule", "quota_storage_size")
        assert question in " ".join(newer[newer.index(block) :].replace("\\\n", " ").split())
