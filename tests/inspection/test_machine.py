"""What `check` says of the home, the disks, the ports and the certificate."""

from __future__ import annotations

import os
import socket
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from django.conf import LazySettings

from mailspool.home import Home
from mailspool.inspection import certificate
from mailspool.inspection import home as home_look
from mailspool.inspection.findings import Level
from spool.models import Settings
from spool.models.settings import forget
from spool.sockets.addresses import Address
from tests.inspection.conftest import Found
from tests.support.certificates import Authority
from tests.support.ports import free_port


@pytest.fixture
def own_home(tmp_path: Path, settings: LazySettings) -> Home:
    settings.HOME = Home(tmp_path / "home")
    settings.HOME.create()
    return settings.HOME


def test_a_whole_home_is_in_order(own_home: Home, found: Found) -> None:
    assert [finding.level for finding in found("home.home") + found("home.open_to_others")] == [Level.OK, Level.OK]


def test_a_missing_folder_is_a_fault(own_home: Home, found: Found) -> None:
    own_home.maildirs.rmdir()

    (finding,) = found("home.home")

    assert finding.level is Level.FAULT
    assert f"The folder {own_home.maildirs} is missing" in finding.sentence


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_another_user_is_a_fault_with_that_user_s_name(own_home: Home, found: Found) -> None:
    os.chown(own_home.spool, 65534, -1)

    (finding,) = found("home.home")

    assert "belongs to nobody" in finding.sentence and "Run Mailspool and its commands as nobody" in finding.sentence


def test_what_others_may_read_is_a_fault_and_is_left_as_it_is(own_home: Home, found: Found) -> None:
    own_home.secret_key()
    key = own_home.keys / "secret_key"
    key.chmod(0o644)

    (finding,) = found("home.open_to_others")

    assert finding.level is Level.FAULT and f"chmod go= {key}" in finding.sentence
    assert stat.S_IMODE(key.stat().st_mode) == 0o644


@pytest.mark.parametrize(("mode", "level"), [(0o640, Level.OK), (0o644, Level.FAULT), (0o660, Level.FAULT)])
def test_the_file_with_the_passwords_is_for_nobody_else(
    tmp_path: Path, found: Found, monkeypatch: pytest.MonkeyPatch, mode: int, level: Level
) -> None:
    monkeypatch.setattr(home_look, "ENVIRONMENT_FILE", tmp_path / "environment")
    (tmp_path / "environment").touch()
    (tmp_path / "environment").chmod(mode)

    assert [finding.level for finding in found("home.environment_file")] == [level]


@pytest.mark.django_db
def test_a_disk_with_too_little_room_is_a_fault(own_home: Home, found: Found) -> None:
    assert {finding.level for finding in found("home.disk")} == {Level.OK}
    Settings.objects.update_or_create(pk=1, defaults={"min_free_mb": 9_999_999})
    forget()

    assert "new mail is answered 452" in found("home.disk")[0].sentence


@pytest.mark.django_db
def test_a_folder_for_moved_messages_that_can_t_be_made_is_a_fault(
    own_home: Home, tmp_path: Path, found: Found
) -> None:
    (tmp_path / "file").touch()
    Settings.objects.update_or_create(
        pk=1, defaults={"move_roots": f"{tmp_path}/file\n{tmp_path}/moved\n{tmp_path}/file/below"}
    )
    forget()

    wrong = found("home.move_folders")

    assert [finding.level for finding in wrong] == [Level.FAULT, Level.FAULT]
    assert f"{tmp_path}/file is no folder" in wrong[0].sentence
    assert f"Messages can't be moved to {tmp_path}/file/below" in wrong[1].sentence


class TestPorts:
    @pytest.fixture
    def port(self, settings: LazySettings) -> int:
        port = free_port()
        settings.MAILSPOOL_LISTEN = {
            "smtp": (Address("127.0.0.1", port),),
            "submission": (),
            "smtps": (),
            "web": (),
        }
        return port

    def test_a_free_port_is_in_order(self, port: int, found: Found) -> None:
        (finding,) = found("ports.ports")
        assert finding.level is Level.OK and f"127.0.0.1:{port} is free" in finding.sentence

    def test_a_port_of_another_program_is_a_fault_with_its_variable(self, port: int, found: Found) -> None:
        with socket.create_server(("127.0.0.1", port)) as other:
            threading.Thread(target=_greet, args=(other, b"220 other.example ESMTP Postfix\r\n")).start()
            (finding,) = found("ports.ports")
        assert finding.level is Level.FAULT
        assert f"Port {port} on 127.0.0.1" in finding.sentence and "MAILSPOOL_SMTP_PORT" in finding.sentence

    def test_our_own_listener_is_known_by_its_greeting(self, port: int, found: Found) -> None:
        with socket.create_server(("127.0.0.1", port)) as ours:
            threading.Thread(target=_greet, args=(ours, b"220 mail.test ESMTP Mailspool\r\n")).start()
            (finding,) = found("ports.ports")
        assert finding.level is Level.OK and "Mailspool listens" in finding.sentence


def _greet(server: socket.socket, greeting: bytes) -> None:
    client, _ = server.accept()
    with client:
        client.sendall(greeting)


@pytest.mark.django_db
class TestCertificate:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    def use(self, certificate: Path, key: Path) -> None:
        Settings.objects.update_or_create(pk=1, defaults={"tls_certificate": str(certificate), "tls_key": str(key)})
        forget()

    def test_a_good_one_is_in_order(self, authority: Authority, tmp_path: Path, found: Found) -> None:
        chain, key = authority.files(tmp_path / "live", "mail.test")
        key.chmod(0o600)
        self.use(chain, key)
        (finding,) = found("certificate.certificate")
        assert finding.level is Level.OK and "Valid until" in finding.sentence

    def test_the_self_signed_one_is_a_warning(self, found: Found) -> None:
        (finding,) = found("certificate.certificate")
        assert finding.level is Level.WARNING and "self-signed" in finding.sentence

    @pytest.mark.parametrize(
        ("name", "days", "sentence"),
        [
            ("mail.test", -1, "It expired on"),
            ("mail.test", 10, "It expires on"),
            ("www.example.org", 30, "It names www.example.org, and not mail.test"),
        ],
    )
    def test_dates_and_names_are_looked_at(
        self, authority: Authority, tmp_path: Path, found: Found, name: str, days: int, sentence: str
    ) -> None:
        chain, key = authority.files(tmp_path / "live", name, days=days)
        key.chmod(0o600)
        self.use(chain, key)
        assert any(sentence in finding.sentence for finding in found("certificate.certificate"))

    def test_a_key_of_another_certificate_and_one_that_is_gone_are_faults(
        self, authority: Authority, tmp_path: Path, found: Found
    ) -> None:
        chain, _ = authority.files(tmp_path / "one", "mail.test")
        _, other_key = authority.files(tmp_path / "other", "mail.test")
        self.use(chain, other_key)
        assert found("certificate.certificate")[0].sentence == "The key is not the certificate's."
        other_key.unlink()
        assert "can't be read: No such file" in found("certificate.certificate")[0].sentence

    def test_a_key_that_others_may_read_is_a_fault(self, authority: Authority, tmp_path: Path, found: Found) -> None:
        chain, key = authority.files(tmp_path / "live", "mail.test")
        key.chmod(0o644)
        self.use(chain, key)
        assert f"The key {key} is open to others" in found("certificate.certificate")[0].sentence

    def test_a_wildcard_stands_for_one_label(self, authority: Authority, tmp_path: Path) -> None:
        chain, _ = authority.files(tmp_path / "live", "*.example.org")
        held = x509.load_pem_x509_certificates(chain.read_bytes())[0]
        now = datetime.now(UTC)

        def levels(name: str, at: datetime) -> list[Level]:
            return [finding.level for finding in certificate.examine(held, name, at)]

        assert levels("mail.example.org", now) == [Level.OK]
        assert levels("a.mail.example.org", now) == [Level.OK, Level.FAULT]
        assert levels("mail.example.org", now - timedelta(days=90)) == [Level.FAULT]
