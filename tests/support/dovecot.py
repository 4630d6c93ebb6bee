"""A real Dovecot: LMTP to deliver to, IMAP to read what arrived with other eyes than ours."""

from __future__ import annotations

import contextlib
import imaplib
import os
import pwd
import shutil
import smtplib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon
from tests.support.ports import free_port, is_listening
from tests.support.waiting import wait_until

PASSWORD = "correct horse"
API_KEY = "an-api-key"

_CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = {folder.name}
log_path = /dev/stderr
info_log_path = /dev/stderr
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_username_chars =
first_valid_uid = 1
default_login_user = {login_user}
default_internal_user = {internal_user}
default_internal_group = {internal_group}
mail_location = maildir:~/Maildir
mail_plugins = quota
recipient_delimiter = +
lmtp_user_concurrency_limit = 1000
submission_host =
{accounts}
plugin {{
  quota = maildir:User quota
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  {chroot}
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  {chroot}
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    path = {folder}/lmtp.sock
    mode = 0666
  }}
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
doveadm_api_key = {api_key}
service doveadm {{
  inet_listener http {{
    port = {doveadm_port}
  }}
}}
service anvil {{
  {chroot}
}}
service stats {{
  {chroot}
}}
"""

_OWN_USERS = """
passdb {{
  driver = passwd-file
  args = username_format=%Lu {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%Lu {folder}/users
}}
"""
_OUR_USERS = """
passdb {{
  driver = sql
  args = {folder}/sql.conf
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%d/%n
}}
service auth {{
  user = {user}
}}
service auth-worker {{
  user = {user}
}}
"""
# As docs/dovecot.md has it, for Argon2 alone.
_SQL = """
driver = {driver}
connect = {connect}
password_query = \\
  SELECT u.email AS user, '{{ARGON2ID}}' || substr(u.password, 7) AS password FROM accounts_user u \\
  JOIN accounts_domain d ON d.id = u.domain_id \\
  WHERE u.email = '%u' AND u.status = 'enabled' AND d.status = 'enabled'
"""


class Dovecot:
    """One instance in a folder of its own, with the users that `add_user` gave it. Their password is PASSWORD.

    With a Django `database` its users are Mailspool's.
    """

    def __init__(self, database: dict[str, Any] | None = None) -> None:
        self._database = database
        # In the temporary folder, and short: socket paths have 108 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="mailspool-dovecot-"))
        self.folder.chmod(0o755)
        self.imap_port = free_port()
        self.pop3_port = free_port()
        self.lmtp_port = free_port()
        self.doveadm_port = free_port()
        self.lmtp_socket = self.folder / "lmtp.sock"
        # Dovecot gives no mail to root; started by anybody else it can only be that user.
        self._owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self._users: dict[str, str] = {}
        self.daemon = Daemon(
            "dovecot", [_binary(), "-F", "-c", self.folder / "dovecot.conf"], self.folder / "dovecot.log"
        )

    @property
    def lmtp_address(self) -> str:
        """As the setting of that name takes it."""
        return f"127.0.0.1:{self.lmtp_port}"

    @property
    def doveadm_url(self) -> str:
        """Where doveadm's HTTP API answers, to those who know API_KEY."""
        return f"http://127.0.0.1:{self.doveadm_port}"

    def start(self) -> None:
        as_root = os.geteuid() == 0
        for name in ("run", "state"):
            (self.folder / name).mkdir(exist_ok=True)
        mail = self.folder / "mail"
        mail.mkdir(exist_ok=True)
        os.chown(mail, self._owner.pw_uid, self._owner.pw_gid)
        self._write_users()
        accounts = _OWN_USERS.format(folder=self.folder) if self._database is None else self._our_users()
        config = _CONFIG.format(
            accounts=accounts,
            folder=self.folder,
            imap_port=self.imap_port,
            pop3_port=self.pop3_port,
            lmtp_port=self.lmtp_port,
            doveadm_port=self.doveadm_port,
            api_key=API_KEY,
            login_user="dovenull" if as_root else self._owner.pw_name,
            internal_user="dovecot" if as_root else self._owner.pw_name,
            internal_group="dovecot" if as_root else str(self._owner.pw_gid),
            chroot="" if as_root else "chroot =",
        )
        (self.folder / "dovecot.conf").write_text(config)
        self.daemon.start(lambda: is_listening(self.imap_port) and is_listening(self.lmtp_port) and self._greets())

    def _our_users(self) -> str:
        database = self._database or {}
        if "sqlite" in database["ENGINE"]:
            driver, connect = "sqlite", str(database["NAME"])
        else:
            words = {name: str(database[name.upper()]) for name in ("host", "port", "user", "password")}
            words |= {name: str(word) for name, word in database["OPTIONS"].items() if name in words}
            connect = " ".join(f"{name}={word}" for name, word in {**words, "dbname": database["NAME"]}.items() if word)
            driver = "pgsql"
        (self.folder / "sql.conf").write_text(_SQL.format(driver=driver, connect=connect))
        user = "root" if os.geteuid() == 0 else self._owner.pw_name
        return _OUR_USERS.format(folder=self.folder, uid=self._owner.pw_uid, gid=self._owner.pw_gid, user=user)

    def stop(self) -> None:
        self.daemon.stop(10)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def add_user(self, address: str, quota: str = "") -> None:
        """A mailbox; `quota` is a rule's limit, as `10k` (Dovecot's words). Others get 550 5.1.1 at RCPT."""
        self._users[address.lower()] = quota
        self._write_users()
        if self.daemon.alive:
            # Dovecot looks at the file at most once a second.
            wait_until(lambda: self._knows(address), f"Dovecot knows {address}")

    def adopt(self, address: str, maildir: Path) -> None:
        """Let `address` read a copy of the Maildir that another program wrote: names, times and bytes are kept."""
        self.add_user(address)
        target = self._home(address) / "Maildir"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(maildir, target)
        for path in (self._home(address).parent, self._home(address), target, *target.rglob("*")):
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def messages(self, address: str, mailbox: str = "INBOX") -> list[bytes]:
        """All messages of a mailbox as IMAP gives them: whole, with CRLF line ends. Leaves them unseen."""
        with self.imap(address) as client:
            client.select(mailbox, readonly=True)
            found = []
            for number in client.search(None, "ALL")[1][0].split():
                answer = client.fetch(number, "(BODY.PEEK[])")[1][0]
                assert isinstance(answer, tuple)
                found.append(answer[1])
            return found

    @contextlib.contextmanager
    def imap(self, address: str, password: str = PASSWORD) -> Iterator[imaplib.IMAP4]:
        """A session that is logged in."""
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=20)
        try:
            client.login(address, password)
            yield client
        finally:
            client.logout()

    def _home(self, address: str) -> Path:
        local_part, _, domain = address.lower().rpartition("@")
        return self.folder / "mail" / domain / local_part

    def _write_users(self) -> None:
        lines = []
        for address, quota in self._users.items():
            rule = f" userdb_quota_rule=*:storage={quota}" if quota else ""
            lines.append(
                f"{address}:{{PLAIN}}{PASSWORD}:{self._owner.pw_uid}:{self._owner.pw_gid}::{self._home(address)}::{rule}\n"
            )
        draft = self.folder / "users.new"
        draft.write_text("".join(lines))
        # The authentication process runs as a user of its own.
        draft.chmod(0o644)
        draft.rename(self.folder / "users")

    def _knows(self, address: str) -> bool:
        with smtplib.LMTP("127.0.0.1", self.lmtp_port, timeout=10) as client:
            client.mail("")
            return client.rcpt(address)[0] == 250

    def _greets(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.lmtp_port), 5) as probe:
            return probe.recv(200).startswith(b"220")


def is_installed() -> bool:
    """Whether Debian's dovecot-core is there."""
    return _binary() != ""


def _binary() -> str:
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""
