"""Users who log in and submit by TLS: the clients, and a Postfix that asks Dovecot for their passwords."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import smtplib
import ssl
from pathlib import Path

from bench.loads.systems import LOCAL_DOMAIN, USERS, PostfixRacer
from bench.systems import SINK_DOMAIN
from tests.support.certificates import Authority
from tests.support.daemon import Daemon
from tests.support.mailspool_process import PASSWORD
from tests.support.messages import a_message
from tests.support.ports import free_port, is_listening
from tests.support.waiting import wait_until

# The hash is of the kind that Mailspool's are, with the same costs.
_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = bench-auth
log_path = {folder}/dovecot.log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_format = %Lu
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
"""


class PostfixSubmission(PostfixRacer):
    """Postfix with a port for submission, and Dovecot's auth process beside it."""

    def __init__(self, folder: Path, sink_port: int) -> None:
        self.submission_port = free_port()
        self._folder = folder / "dovecot"
        chain, key = Authority(folder).files(folder / "certificate", "postfix.test")
        own = "-o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes"
        super().__init__(
            {
                "relayhost": f"[127.0.0.1]:{sink_port}",
                "smtpd_tls_cert_file": str(chain),
                "smtpd_tls_key_file": str(key),
                "smtpd_sasl_type": "dovecot",
                "smtpd_sasl_path": str(self._folder / "auth"),
                "mynetworks": "127.0.0.9/32",
            },
            [f"127.0.0.1:{self.submission_port} inet n - n - - smtpd {own}"],
        )
        self._dovecot = Daemon(
            "dovecot", ["/usr/sbin/dovecot", "-F", "-c", self._folder / "dovecot.conf"], self._folder / "out.log"
        )

    def start(self) -> None:
        self._folder.mkdir(mode=0o755)
        (self._folder / "dovecot.conf").write_text(_DOVECOT.format(folder=self._folder))
        hashed = _argon2(PASSWORD)
        (self._folder / "users").write_text("".join(f"{user}@{LOCAL_DOMAIN}:{hashed}\n" for user in USERS))
        os.chown(self._folder / "users", pwd.getpwnam("dovecot").pw_uid, -1)
        self._dovecot.start((self._folder / "auth").exists)
        super().start()
        wait_until(lambda: is_listening(self.submission_port), "Postfix takes submissions", 30)

    def stop(self) -> None:
        super().stop()
        self._dovecot.stop()

    def parts(self) -> dict[str, list[int]]:
        return {**super().parts(), "dovecot": [self._dovecot.pid]}


def _argon2(password: str) -> str:
    """As Dovecot has it, with what Django's hasher asks for."""
    from django.contrib.auth.hashers import make_password

    return "{ARGON2ID}" + make_password(password, hasher="argon2").removeprefix("argon2")


def submit(port: int, messages: int, each: int) -> None:
    """So many messages of every user, all users at once; a connection and a login for `each` of them."""
    # Forked: to load the program would be most of what a client does.
    processes = multiprocessing.get_context("fork")
    clients = [processes.Process(target=_client, args=(port, user, messages, each), daemon=True) for user in USERS]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if any(client.exitcode for client in clients):
        raise RuntimeError("a client failed")


def _client(port: int, user: str, messages: int, each: int) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sender, to = f"{user}@{LOCAL_DOMAIN}", f"someone@{SINK_DOMAIN}"
    content = a_message(to, sender, size=4096)
    for _ in range(messages // each):
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=120) as client:
            client.starttls(context=context)
            client.login(sender, PASSWORD)
            for _ in range(each):
                client.sendmail(sender, [to], content)
