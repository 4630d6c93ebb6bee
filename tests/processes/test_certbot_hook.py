"""deploy/certbot-hook, with a certificate as certbot leaves it, on a running listener."""

from __future__ import annotations

import grp
import os
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.mailspool_process import HOSTNAME, MailspoolUnderTest
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.sqlite, pytest.mark.long]
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def mailspool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailspoolUnderTest]:
    installation = MailspoolUnderTest(tmp_path_factory.mktemp("hook"))
    installation.prepare()
    installation.redis.start()
    installation.listeners[0].start()
    installation.wait_for_listener()
    yield installation
    installation.kill()


class Certbot:
    """What certbot does after a renewal: it runs the hook, with the folder and the names of the certificate."""

    def __init__(self, folder: Path, mailspool: MailspoolUnderTest) -> None:
        self.authority = Authority(folder)
        self.folder = folder
        self.tls = folder / "tls"
        self.lineage = folder / "live"
        command = folder / "bin" / "mailspool"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\ncd {PROJECT}\nexec {sys.executable} manage.py "$@"\n')
        command.chmod(0o755)
        environment = folder / "environment"
        environment.write_text(f"MAILSPOOL_HOSTNAME={HOSTNAME}\n")
        self.env = {
            **mailspool.env,
            "PATH": f"{command.parent}:{os.environ['PATH']}",
            "TLS_FOLDER": str(self.tls),
            "ENVIRONMENT_FILE": str(environment),
            "TLS_GROUP": grp.getgrgid(os.getegid()).gr_name,
        }
        del self.env["DJANGO_SETTINGS_MODULE"]

    def renew(self, name: str = HOSTNAME, domains: str = HOSTNAME) -> None:
        self.authority.files(self.lineage, name)
        env = {**self.env, "RENEWED_LINEAGE": str(self.lineage), "RENEWED_DOMAINS": domains}
        env.pop("MAILSPOOL_HOSTNAME")
        subprocess.run([PROJECT / "deploy" / "certbot-hook"], env=env, check=True, timeout=60)


def served(mailspool: MailspoolUnderTest, authority: Authority) -> str:
    """The certificate of the TLS port, when it is the authority's."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    try:
        with (
            socket.create_connection(("127.0.0.1", mailspool.smtps_port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=HOSTNAME) as encrypted,
        ):
            return ssl.DER_cert_to_PEM_cert(encrypted.getpeercert(binary_form=True) or b"")
    except ssl.SSLError:
        return ""


def test_a_renewed_certificate_reaches_the_listeners_and_only_mailspool_can_read_it(
    tmp_path: Path, mailspool: MailspoolUnderTest
) -> None:
    certbot = Certbot(tmp_path, mailspool)
    assert not served(mailspool, certbot.authority), "self-signed at first"

    certbot.renew()
    wait_until(lambda: served(mailspool, certbot.authority), "the certificate is served", 20)

    assert stat.S_IMODE((certbot.tls / "mail.pem").stat().st_mode) == 0o640
    assert stat.S_IMODE(certbot.tls.stat().st_mode) == 0o750
    first = served(mailspool, certbot.authority)
    certbot.renew(domains=f"www.example.org *.{HOSTNAME.partition('.')[2]}")
    wait_until(lambda: served(mailspool, certbot.authority) not in ("", first), "the renewed one is served", 20)
    assert [path.name for path in certbot.tls.iterdir()] == ["mail.pem"]


def test_a_certificate_of_another_name_is_left_alone(tmp_path: Path, mailspool: MailspoolUnderTest) -> None:
    certbot = Certbot(tmp_path, mailspool)

    certbot.renew("www.example.org", "www.example.org mail.test.example.org")

    assert not certbot.tls.exists()
